#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "policy/base/result.h"
#include "server/ctl/command.h"

namespace weighmaster::server::ctl {

// What may stand where a person pressed Tab, of which every shell knows by asking "weighctl
// complete": so the table of commands is the only one there is, and a script that was installed
// long ago knows the commands of today.
struct Candidate {
  std::string word;
  std::string summary;
};
struct Completion {
  bool is_file = false;  // the name of a file, which the shell knows how to complete
  std::vector<Candidate> candidates;
};

// `words` are those after "weighctl" up to the one being written, which is the last and may be
// empty; bash parts "--order=x" into three. `contexts` tells the names of contexts, and is asked
// only where one may stand.
Completion Complete(const std::vector<Command>& commands, const std::vector<std::string>& words,
                    const std::function<std::vector<std::string>()>& contexts);

// For scripts: "files" or "words" on the first line, then a word, a tab and a summary on each.
std::string CompletionText(const Completion& completion);

// For "bash", "zsh" or "fish"; INVALID_ARGUMENT for another shell.
base::Result<std::string_view> CompletionScript(std::string_view shell);

std::vector<Command> CompletionCommands();  // completion

}  // namespace weighmaster::server::ctl
