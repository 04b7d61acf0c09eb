#include "policy/model/sighting.h"

#include "policy/model/named.h"

namespace weighmaster::model {
namespace {

constexpr Named<CoverageState> kCoverageStates[] = {{CoverageState::kLooked, "looked"},
                                                    {CoverageState::kPartly, "partly"},
                                                    {CoverageState::kCouldNot, "could_not"}};
constexpr Named<ChangeDetection> kDetections[] = {{ChangeDetection::kEvents, "events"},
                                                  {ChangeDetection::kWalksOnly, "walks_only"}};
constexpr Named<CoverageReason> kCoverageReasons[] = {
    {CoverageReason::kNone, "none"},
    {CoverageReason::kNotMounted, "not_mounted"},
    {CoverageReason::kPermission, "permission"},
    {CoverageReason::kRemoteFileSystem, "remote_file_system"},
    {CoverageReason::kPseudoFileSystem, "pseudo_file_system"},
    {CoverageReason::kUnderWay, "under_way"},
    {CoverageReason::kSmallFilesPending, "small_files_pending"},
    {CoverageReason::kIoError, "io_error"},
    {CoverageReason::kExcluded, "excluded"},
    {CoverageReason::kNoFileHandles, "no_file_handles"},
    {CoverageReason::kLimit, "limit"},
    {CoverageReason::kRootRemoved, "root_removed"},
};

}  // namespace

std::string_view CoverageStateName(CoverageState state) { return NameOf(kCoverageStates, state); }
std::string_view ChangeDetectionName(ChangeDetection detection) {
  return NameOf(kDetections, detection);
}
std::string_view CoverageReasonName(CoverageReason reason) {
  return NameOf(kCoverageReasons, reason);
}

}  // namespace weighmaster::model
