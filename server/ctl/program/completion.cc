#include "server/ctl/program/completion.h"

#include <algorithm>
#include <optional>
#include <set>
#include <span>
#include <utility>

#include "policy/engine/fields.h"
#include "server/ctl/listing.h"
#include "server/query/lists.h"

namespace weighmaster::server::ctl {
namespace {

constexpr std::string_view kNameLetters = "abcdefghijklmnopqrstuvwxyz0123456789_";

using Words = std::span<const std::string>;

// One completion: the word being written, and what was found for it so far.
class Finder {
 public:
  explicit Finder(std::string_view written) : written_(written) {}

  // A candidate for the whole word.
  void Offer(const std::string& word, std::string_view summary) {
    if (word.starts_with(written_)) found_.candidates.push_back({word, std::string(summary)});
  }

  // Of the next candidates, so much is written already and stays.
  void Keep(std::string_view start) { kept_ = start; }
  void OfferAfterKept(std::string_view word, std::string_view summary) {
    Offer(kept_ + std::string(word), summary);
  }

  void OfferFile() { found_.is_file = true; }
  std::string_view written() const { return written_; }
  Completion Take() { return std::move(found_); }

 private:
  const std::string_view written_;
  std::string kept_;
  Completion found_;
};

std::string_view LastName(std::string_view text) {
  const std::size_t before = text.find_last_not_of(kNameLetters);
  return before == text.npos ? text : text.substr(before + 1);
}

std::string_view WithoutEnd(std::string_view text, std::string_view set) {
  const std::size_t last = text.find_last_not_of(set);
  return last == text.npos ? std::string_view() : text.substr(0, last + 1);
}

// The field whose value is being written at the end of a filter: that of "state" in "a > 1 AND
// state = ".
const query::Field* FieldBeforeValue(const query::List& list, std::string_view before) {
  constexpr std::string_view kComparison = "=!<>:";
  const std::string_view compared = WithoutEnd(before, " \"");
  const std::string_view name = WithoutEnd(WithoutEnd(compared, kComparison), " ");
  return compared.size() == WithoutEnd(compared, kComparison).size()
             ? nullptr
             : query::FindField(list, LastName(name));
}

void OfferFields(const query::List& list, bool for_order, std::string_view value, Finder& finder) {
  const std::string_view name = LastName(value);
  const std::string_view before = value.substr(0, value.size() - name.size());
  finder.Keep(finder.written().substr(0, finder.written().size() - name.size()));
  if (const query::Field* const field = for_order ? nullptr : FieldBeforeValue(list, before)) {
    for (const query::Choice& choice : field->choices) finder.OfferAfterKept(choice.name, "");
    return;
  }
  for (const query::Field& field : list.fields) {
    if (field.orders || !for_order) finder.OfferAfterKept(field.name, field.means);
  }
}

// What --help calls the value says what may stand there.
void OfferValue(const Command& command, std::string_view kind, std::string_view value,
                const std::function<std::vector<std::string>()>& contexts, Finder& finder) {
  finder.Keep(finder.written().substr(0, finder.written().size() - value.size()));
  if (kind == "FILE" || kind == "BUNDLE" || kind == "BEFORE" || kind == "AFTER") {
    finder.OfferFile();
  } else if (kind == "CONTEXT") {
    for (const std::string& name : contexts()) finder.OfferAfterKept(name, "");
  } else if (kind == "ROLE") {
    for (const query::Choice& role : query::FindField(query::AdminTokens(), "role")->choices) {
      finder.OfferAfterKept(role.name, "");
    }
  } else if (kind == "SHELL") {
    for (const char* const shell : {"bash", "zsh", "fish"}) finder.OfferAfterKept(shell, "");
  } else if (kind == "[FIELD]") {
    for (const engine::Field& field : engine::Fields()) {
      finder.OfferAfterKept(field.name, field.description);
    }
  } else if ((kind == "FILTER" || kind == "FIELDS") && command.list != nullptr) {
    OfferFields(*command.list, kind == "FIELDS", value, finder);
  }
}

void OfferCommands(const std::vector<Command>& commands, Words before, Finder& finder) {
  std::set<std::string> offered;
  for (const Command& command : commands) {
    const std::vector<std::string> name = NameWords(command);
    if (name.size() <= before.size() || !std::equal(before.begin(), before.end(), name.begin())) {
      continue;
    }
    const std::string& word = name[before.size()];
    if (!offered.insert(word).second) continue;
    finder.Offer(word, name.size() == before.size() + 1 ? command.summary : "");
  }
}

// Walks over what is written of a command and completes what comes next.
void CompleteArguments(const Command& command, Words before,
                       const std::function<std::vector<std::string>()>& contexts, Finder& finder) {
  const std::vector<Arguments::Option> options = AllOptions(command);
  const auto option_of = [&](std::string_view word) {
    return std::ranges::find_if(options, [&](const Arguments::Option& option) {
      return word.starts_with("--") && word.substr(2) == option.name;
    });
  };
  const Arguments::Option* awaited = nullptr;  // whose value comes next
  std::size_t positionals = 0;
  for (const std::string& word : before) {
    if (word == "=") continue;
    const auto option = option_of(word);
    if (awaited != nullptr) {
      awaited = nullptr;
    } else if (option != options.end()) {
      const bool takes_one = !option->value.empty() && !option->value.starts_with('[');
      awaited = takes_one ? &*option : nullptr;
    } else if (!word.starts_with('-')) {
      ++positionals;
    }
  }
  const std::string_view written = finder.written();
  const std::size_t equals = written.find('=');
  if (awaited != nullptr) return OfferValue(command, awaited->value, written, contexts, finder);
  if (written.starts_with("--") && equals != written.npos) {
    const auto option = option_of(written.substr(0, equals));
    if (option == options.end()) return;
    return OfferValue(command, option->value, written.substr(equals + 1), contexts, finder);
  }
  if (!written.starts_with('-') && positionals < command.positionals.size()) {
    OfferValue(command, command.positionals[positionals], written, contexts, finder);
    return;
  }
  for (const Arguments::Option& option : options) {
    const std::string word = "--" + std::string(option.name);
    if (std::ranges::find(before, word) == before.end()) finder.Offer(word, option.help);
  }
}

base::Result<ExitCode> PrintScript(Context& context, const Arguments& arguments) {
  WM_ASSIGN_OR_RETURN(const std::string_view script, CompletionScript(arguments.Positional(0)));
  context.out << script;
  return ExitCode::kOk;
}

}  // namespace

Completion Complete(const std::vector<Command>& commands, const std::vector<std::string>& words,
                    const std::function<std::vector<std::string>()>& contexts) {
  std::string_view written = words.empty() ? std::string_view() : words.back();
  // Of a word in quotes, bash gives the quote that opens it; of "--order=", the sign alone.
  if (written == "=" || written.starts_with('\'') || written.starts_with('"')) {
    written.remove_prefix(1);
  }
  const Words before = words.empty() ? Words() : Words(words).first(words.size() - 1);
  Finder finder(written);
  const auto command = std::ranges::find_if(commands, [&](const Command& candidate) {
    const std::vector<std::string> name = NameWords(candidate);
    return before.size() >= name.size() && std::equal(name.begin(), name.end(), before.begin());
  });
  if (command == commands.end()) {
    OfferCommands(commands, before, finder);
  } else {
    CompleteArguments(*command, before.subspan(NameWords(*command).size()), contexts, finder);
  }
  return finder.Take();
}

std::string CompletionText(const Completion& completion) {
  std::string text = completion.is_file ? "files\n" : "words\n";
  for (const Candidate& candidate : completion.candidates) {
    text += candidate.word + "\t" + candidate.summary + "\n";
  }
  return text;
}

std::vector<Command> CompletionCommands() {
  return {{"completion",
           "prints what teaches a shell to complete weighctl's words",
           {"SHELL"},
           {},
           PrintScript}};
}

}  // namespace weighmaster::server::ctl
