#include <string>

#include "policy/base/error.h"
#include "server/ctl/program/completion.h"

namespace weighmaster::server::ctl {
namespace {

constexpr std::string_view kBash = R"script(# Completions of weighctl for bash. In ~/.bashrc:
#   source <(weighctl completion bash)
_weighctl() {
  local kind word summary
  COMPREPLY=()
  {
    read -r kind
    if [[ $kind == files ]]; then
      compopt -o filenames 2>/dev/null
      while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "${2-}")
      return
    fi
    while IFS=$'\t' read -r word summary; do COMPREPLY+=("$word"); done
  } < <(weighctl complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -F _weighctl weighctl
)script";

constexpr std::string_view kZsh = R"script(#compdef weighctl
# Completions of weighctl for zsh. In ~/.zshrc, after compinit:
#   source <(weighctl completion zsh)
_weighctl() {
  local line
  local -a answer candidates
  answer=("${(@f)$(weighctl complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ $answer[1] == files ]]; then
    _files
    return
  fi
  for line in "${(@)answer[2,-1]}"; do
    candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
  done
  _describe -t words 'weighctl' candidates
}
if [[ $funcstack[1] == _weighctl ]]; then
  _weighctl "$@"
else
  compdef _weighctl weighctl
fi
)script";

constexpr std::string_view kFish =
    R"script(# Completions of weighctl for fish. In ~/.config/fish/config.fish:
#   weighctl completion fish | source
function __weighctl_complete
    set -l before (commandline -opc)
    set -l written (commandline -ct)
    set -l answer (weighctl complete $before[2..-1] "$written" 2>/dev/null)
    if test "$answer[1]" = files
        __fish_complete_path "$written"
    else
        printf '%s\n' $answer[2..-1]
    end
end
complete -c weighctl -f -a '(__weighctl_complete)'
)script";

}  // namespace

base::Result<std::string_view> CompletionScript(std::string_view shell) {
  if (shell == "bash") return kBash;
  if (shell == "zsh") return kZsh;
  if (shell == "fish") return kFish;
  return base::InvalidArgument("there are completions for bash, zsh and fish");
}

}  // namespace weighmaster::server::ctl
