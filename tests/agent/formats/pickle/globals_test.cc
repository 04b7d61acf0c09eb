#include "agent/formats/pickle/globals.h"

#include <gtest/gtest.h>

namespace weighmaster::agent::formats {
namespace {

TEST(GradeGlobal, KnowsWhatExecutes) {
  for (const auto& [module, name] : {std::pair("os", "system"),
                                     {"posix", "system"},
                                     {"nt", "system"},
                                     {"builtins", "eval"},
                                     {"__builtin__", "exec"},
                                     {"subprocess", "Popen"},
                                     {"runpy", "_run_code"},
                                     {"torch", "load"},
                                     {"torch.serialization", "load"},
                                     {"torch.hub", "load"},
                                     {"numpy.testing._private.utils", "runstring"},
                                     {"operator", "attrgetter"},
                                     {"functools", "partial"},
                                     {"picklescan", "anything"}}) {
    EXPECT_EQ(GradeGlobal(module, name), GlobalGrade::kExecutes) << module << "." << name;
  }
}

TEST(GradeGlobal, KnowsWhatReachesFilesAndNetwork) {
  EXPECT_EQ(GradeGlobal("shutil", "rmtree"), GlobalGrade::kReaches);
  EXPECT_EQ(GradeGlobal("urllib.request", "urlopen"), GlobalGrade::kReaches);
  EXPECT_EQ(GradeGlobal("_io", "FileIO"), GlobalGrade::kReaches);
}

TEST(GradeGlobal, KnowsWhatCheckpointsAreMadeOf) {
  for (const auto& [module, name] : {std::pair("collections", "OrderedDict"),
                                     {"torch", "BFloat16Storage"},
                                     {"torch._utils", "_rebuild_tensor_v2"},
                                     {"torch.nn.modules.linear", "Linear"},
                                     {"numpy.core.multiarray", "_reconstruct"},
                                     {"numpy", "dtype"},
                                     {"builtins", "set"},
                                     {"sklearn.linear_model._base", "LinearRegression"},
                                     {"_codecs", "encode"}}) {
    EXPECT_EQ(GradeGlobal(module, name), GlobalGrade::kSafe) << module << "." << name;
  }
}

TEST(GradeGlobal, CallsEverythingElseUnlisted) {
  EXPECT_EQ(GradeGlobal("mypackage.models", "Net"), GlobalGrade::kUnlisted);
  EXPECT_EQ(GradeGlobal("torch.nn.modules.linear", "helper"), GlobalGrade::kUnlisted);
  EXPECT_EQ(GradeGlobal("osprey", "system"), GlobalGrade::kUnlisted);
  EXPECT_EQ(GradeGlobal("", ""), GlobalGrade::kUnlisted);
}

// CVE-2025-10157: a name from below an unsafe module.
TEST(GradeGlobal, HoldsAModuleForAllBelowIt) {
  EXPECT_EQ(GradeGlobal("asyncio.unix_events", "_UnixSubprocessTransport._start"),
            GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("pip._internal.cli.main", "main"), GlobalGrade::kExecutes);
}

// GHSA-5j3x-jp52-966f: an unsafe module reached as an attribute of a harmless one.
TEST(GradeGlobal, GradesEveryPartOfADottedName) {
  EXPECT_EQ(GradeGlobal("collections", "abc.os.system"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("pathlib", "os.system"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("torch", "serialization.load"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("collections", "OrderedDict.__init__.__globals__"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("builtins", "eval.__call__"), GlobalGrade::kExecutes);
  EXPECT_NE(GradeGlobal("collections", "OrderedDict.fromkeys"), GlobalGrade::kSafe);
}

// CVE-2026-56315: modules that were missing on other lists.
TEST(GradeGlobal, KnowsTheLessKnownOnes) {
  EXPECT_EQ(GradeGlobal("uuid", "_get_command_stdout"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("imaplib", "IMAP4_stream"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("_pyrepl.pager", "pipe_pager"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("_osx_support", "_read_output"), GlobalGrade::kExecutes);
  EXPECT_EQ(GradeGlobal("_aix_support", "_read_cmd_output"), GlobalGrade::kExecutes);
}

}  // namespace
}  // namespace weighmaster::agent::formats
