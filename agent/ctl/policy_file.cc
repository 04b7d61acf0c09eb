#include "agent/ctl/policy_file.h"

#include <filesystem>

#include "agent/ctl/observe_policy.h"
#include "policy/base/limits.h"
#include "policy/lang/compile.h"
#include "policy/lang/document.h"
#include "third_party/posix/files.h"

namespace weighmaster::agent::ctl {

namespace limits = base::limits;

base::Result<std::shared_ptr<const engine::Policy>> LoadScanPolicy(const std::string& path,
                                                                   base::WallTime now,
                                                                   std::ostream& err) {
  lang::Reading reading;
  if (path.empty()) {
    reading = lang::ReadDocument("observe.yaml", kObservePolicy, nullptr, now);
  } else {
    WM_ASSIGN_OR_RETURN(const std::string text, posix::ReadFile(path, limits::kMaxPolicyBytes));
    const std::string folder = std::filesystem::path(path).parent_path().string();
    reading = lang::ReadDocument(
        path, text,
        [&folder](const std::string& list) {
          return posix::ReadFileBelow(folder, list, limits::kMaxListFileBytes);
        },
        now);
  }
  err << reading.diagnostics.ToText();
  if (reading.diagnostics.has_errors()) return std::shared_ptr<const engine::Policy>();
  return lang::MakePolicy(0, reading);
}

}  // namespace weighmaster::agent::ctl
