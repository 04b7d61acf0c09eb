#include "policy/lang/yaml/diagnostics.h"

#include <gtest/gtest.h>

#include "policy/base/limits.h"

namespace weighmaster::lang {
namespace {

TEST(Diagnostics, AreWrittenAsCompilersWriteThem) {
  const Diagnostic diagnostic{DiagnosticSeverity::kError, "p.yaml", {3, 5}, "wrong", "do this"};
  EXPECT_EQ(diagnostic.ToText(), "p.yaml:3:5: error: wrong\n  hint: do this");
  const Diagnostic whole{DiagnosticSeverity::kWarning, "p.yaml", {}, "odd", ""};
  EXPECT_EQ(whole.ToText(), "p.yaml: warning: odd");
}

TEST(Diagnostics, BeyondTheLimitAreCountedAndWarningsHideNoError) {
  Diagnostics diagnostics;
  const Reporter report("p.yaml", diagnostics);
  for (std::size_t i = 0; i < base::limits::kMaxDiagnostics + 5; ++i) report.Warning({1, 1}, "w");
  report.Error({2, 1}, "the error");
  EXPECT_EQ(diagnostics.all().size(), base::limits::kMaxDiagnostics + 1);
  EXPECT_EQ(diagnostics.warnings(), base::limits::kMaxDiagnostics + 5);
  EXPECT_TRUE(diagnostics.has_errors());
  const std::string text = diagnostics.ToText();
  EXPECT_NE(text.find("the error"), std::string::npos);
  EXPECT_NE(text.find("and 5 more\n"), std::string::npos);
}

TEST(Diagnostics, QuoteForeignTextSafelyAndCutAtACharacter) {
  EXPECT_EQ(Quote("a\x1b[1m"), "\"a\\x1b[1m\"");
  EXPECT_EQ(Quote(std::string(79, 'a') + "\xc3\xa9z"), "\"" + std::string(79, 'a') + "…\"");
}

TEST(Nearest, FindsSlipsOfTheKeyboardAndNothingFarOff) {
  EXPECT_EQ(Nearest("licence", {"name", "license"}), "license");
  EXPECT_EQ(Nearest("fromat", {"format", "name"}), "format");
  EXPECT_EQ(Nearest("colour", {"format", "name"}), "");
  EXPECT_EQ(Nearest(std::string(5000, 'a'), {"format"}), "");
  EXPECT_EQ(SpellingHint("then_", {"then"}, "keys"), "did you mean \"then\"?");
  EXPECT_EQ(SpellingHint("zzz", {"a", "b"}, "keys"), "known keys: a, b");
}

}  // namespace
}  // namespace weighmaster::lang
