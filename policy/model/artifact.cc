#include "policy/model/artifact.h"

namespace weighmaster::model {
namespace {

constexpr Named<DigestState> kDigestStates[] = {
    {DigestState::kPending, "pending"},
    {DigestState::kClaimed, "claimed"},
    {DigestState::kVerified, "verified"},
    {DigestState::kFailed, "failed"},
};

}  // namespace

std::string_view FormatName(Format format) { return NameOf(kFormats, format); }
base::Result<Format> ParseFormat(std::string_view name) {
  return ValueOf(kFormats, name, "format");
}
std::string_view DigestStateName(DigestState state) { return NameOf(kDigestStates, state); }
base::Result<DigestState> ParseDigestState(std::string_view name) {
  return ValueOf(kDigestStates, name, "digest state");
}

}  // namespace weighmaster::model
