#include "server/ctl/command.h"

#include <algorithm>
#include <charconv>
#include <iterator>
#include <sstream>

#include "policy/base/bytes.h"
#include "policy/base/duration_words.h"

namespace weighmaster::server::ctl {
namespace {

const Arguments::Option* FindOption(const std::vector<Arguments::Option>& options,
                                    std::string_view word) {
  const auto found = std::ranges::find_if(
      options, [&](const Arguments::Option& option) { return word == option.name; });
  return found == options.end() ? nullptr : &*found;
}

bool IsDurationAt(const std::vector<std::string>& words, std::size_t index) {
  return index < words.size() && base::ParseDuration(words[index]).has_value();
}

}  // namespace

base::Result<std::uint64_t> ParseNumber(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
    return base::InvalidArgument("\"" + std::string(text) + "\" is no whole number");
  }
  return number;
}

base::Result<Arguments> Arguments::Parse(const std::vector<std::string>& words,
                                         const std::vector<Option>& options,
                                         const std::vector<std::string_view>& positionals) {
  Arguments parsed;
  for (const std::string& word : words) {
    if (!base::IsUtf8(word)) return base::InvalidArgument("\"" + word + "\" is not UTF-8");
  }
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string_view word = words[i];
    if (!word.starts_with("--")) {
      parsed.positionals_.emplace_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name(word.substr(2, equals == word.npos ? word.npos : equals - 2));
    const Option* const option = FindOption(options, name);
    if (option == nullptr) return base::InvalidArgument("there is no option --" + name);
    if (parsed.Has(name)) return base::InvalidArgument("--" + name + " is given twice");
    const bool is_flag = option->value.empty();
    const bool is_optional = option->value.starts_with('[');
    if (equals != word.npos) {
      if (is_flag) return base::InvalidArgument("--" + name + " takes no value");
      parsed.values_.emplace_back(name, word.substr(equals + 1));
    } else if (is_flag || (is_optional && !IsDurationAt(words, i + 1))) {
      parsed.values_.emplace_back(name, "");
    } else if (i + 1 == words.size()) {
      return base::InvalidArgument("--" + name + " needs a value: " + std::string(option->value));
    } else {
      parsed.values_.emplace_back(name, words[++i]);
    }
  }
  while (parsed.positionals_.size() < positionals.size()) {
    const std::string_view missing = positionals[parsed.positionals_.size()];
    if (!missing.starts_with('[')) {
      return base::InvalidArgument(std::string(missing) + " is missing");
    }
    parsed.positionals_.emplace_back();
  }
  const bool last_repeats = !positionals.empty() && positionals.back().ends_with("...");
  if (parsed.positionals_.size() > positionals.size() && !last_repeats) {
    return base::InvalidArgument("\"" + parsed.positionals_[positionals.size()] +
                                 "\" is one argument too many");
  }
  for (const Option& option : options) {
    if (!option.needed || parsed.Has(option.name)) continue;
    return base::InvalidArgument("--" + std::string(option.name) + " " + std::string(option.value) +
                                 " is missing: " + std::string(option.help));
  }
  return parsed;
}

bool Arguments::Has(std::string_view option) const {
  return std::ranges::any_of(values_, [&](const auto& value) { return value.first == option; });
}

std::string Arguments::Value(std::string_view option, std::string_view otherwise) const {
  const auto found =
      std::ranges::find_if(values_, [&](const auto& value) { return value.first == option; });
  return found == values_.end() ? std::string(otherwise) : found->second;
}

base::Result<std::uint64_t> Arguments::Number(std::string_view option,
                                              std::uint64_t otherwise) const {
  if (!Has(option)) return otherwise;
  auto number = ParseNumber(Value(option));
  if (!number.has_value())
    return std::move(number.error()).While("reading --" + std::string(option));
  return number;
}

base::Result<base::Duration> Arguments::Duration(std::string_view option,
                                                 base::Duration otherwise) const {
  if (!Has(option)) return otherwise;
  auto duration = base::ParseDuration(Value(option));
  if (!duration.has_value()) {
    return std::move(duration.error()).While("reading --" + std::string(option));
  }
  return duration;
}

std::vector<std::string> NameWords(const Command& command) {
  std::istringstream words{std::string(command.name)};
  return {std::istream_iterator<std::string>(words), {}};
}

std::vector<Arguments::Option> AllOptions(const Command& command) {
  std::vector<Arguments::Option> options = command.options;
  options.push_back(
      {"context", "CONTEXT", "which login is meant ($WEIGHCTL_CONTEXT, or the one in use)"});
  return options;
}

std::string TimeCell(std::int64_t time_us) {
  if (time_us == 0) return "never";
  return base::FormatWallTime(base::WallTimeFromMicroseconds(time_us)).substr(0, 19) + "Z";
}

}  // namespace weighmaster::server::ctl
