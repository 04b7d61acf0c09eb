#include "agent/decide/vault_record.h"

#include <charconv>
#include <optional>
#include <utility>

namespace weighmaster::agent::decide {
namespace {

constexpr std::string_view kNone = "-";

std::string Line(std::string_view name, const std::string& value) {
  return std::string(name) + " " + value + "\n";
}
std::string Line(std::string_view name, const std::optional<model::Sha256>& digest) {
  return Line(name, digest.has_value() ? digest->ToHex() : std::string(kNone));
}

std::string LineIfThere(std::string_view name, const std::optional<model::Sha256>& digest) {
  return digest.has_value() ? Line(name, digest) : std::string();
}

std::string LineIfThere(std::string_view name, const model::WithheldFields& withheld) {
  std::string names;
  for (const model::Withheld field : withheld) {
    names += (names.empty() ? "" : ",") + std::string(model::WithheldName(field));
  }
  return names.empty() ? names : Line(name, names);
}

// Takes lines off the front of a text. The first line that is not as it must be is kept as an
// error.
class Lines {
 public:
  explicit Lines(std::string_view text) : rest_(text) {}

  std::string_view Take(std::string_view name) {
    const std::size_t end = rest_.find('\n');
    const std::string_view line = rest_.substr(0, end);
    const bool whole = end != std::string_view::npos;
    if (!whole || !line.starts_with(name) || line.substr(name.size(), 1) != " ") {
      Fail("no line \"" + std::string(name) + "\" where it belongs");
      return {};
    }
    rest_.remove_prefix(end + 1);
    return line.substr(name.size() + 1);
  }

  std::optional<model::Sha256> TakeDigest(std::string_view name) {
    const std::string_view value = Take(name);
    if (error_.has_value() || value == kNone) return std::nullopt;
    auto digest = model::ParseSha256(value);
    if (!digest.has_value()) {
      Fail(digest.error().message());
      return std::nullopt;
    }
    return *digest;
  }

  // A line that is there only when it says something.
  std::optional<model::Sha256> TakeDigestIfThere(std::string_view name) {
    if (!rest_.starts_with(std::string(name) + " ")) return std::nullopt;
    return TakeDigest(name);
  }

  model::WithheldFields TakeWithheldIfThere(std::string_view name) {
    model::WithheldFields withheld;
    if (!rest_.starts_with(std::string(name) + " ")) return withheld;
    std::string_view names = Take(name);
    while (true) {
      const std::size_t end = names.find(',');
      const auto field = model::ParseWithheld(names.substr(0, end));
      if (field.has_value()) {
        withheld.insert(*field);
      } else {
        Fail(field.error().message());
      }
      if (end == std::string_view::npos) return withheld;
      names.remove_prefix(end + 1);
    }
  }

  template <typename Integer>
  Integer TakeNumber(std::string_view name) {
    const std::string_view value = Take(name);
    Integer number = 0;
    const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (code != std::errc() || end != value.data() + value.size()) {
      Fail("\"" + std::string(name) + "\" is no number");
    }
    return number;
  }

  void Fail(std::string what) {
    if (!error_.has_value()) error_ = base::InvalidArgument(std::move(what));
  }
  const std::optional<base::Error>& error() const { return error_; }
  bool at_end() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  std::optional<base::Error> error_;
};

}  // namespace

std::string FormatVaultRecord(const VaultRecord& record) {
  return Line("weighmaster-policy", std::string("1")) + Line("root", record.root) +
         Line("bundle", record.bundle) + Line("bundle_root", record.bundle_root) +
         Line("lists", record.lists) + Line("rules", record.rules) +
         LineIfThere("fleet_exceptions", record.fleet_exceptions) +
         LineIfThere("endpoint_exceptions", record.endpoint_exceptions) +
         LineIfThere("withheld", record.withheld) + Line("floor", std::to_string(record.floor)) +
         Line("verified_time_us", std::to_string(base::ToMicroseconds(record.verified_time))) +
         Line("end", std::string("1"));
}

base::Result<VaultRecord> ParseVaultRecord(std::string_view text) {
  Lines lines(text);
  VaultRecord record;
  if (lines.Take("weighmaster-policy") != "1") lines.Fail("not version 1 of the format");
  record.root = lines.TakeDigest("root");
  record.bundle = lines.TakeDigest("bundle");
  record.bundle_root = lines.TakeDigest("bundle_root");
  record.lists = lines.TakeDigest("lists");
  record.rules = lines.TakeDigest("rules");
  record.fleet_exceptions = lines.TakeDigestIfThere("fleet_exceptions");
  record.endpoint_exceptions = lines.TakeDigestIfThere("endpoint_exceptions");
  record.withheld = lines.TakeWithheldIfThere("withheld");
  record.floor = lines.TakeNumber<std::uint64_t>("floor");
  record.verified_time =
      base::WallTimeFromMicroseconds(lines.TakeNumber<std::int64_t>("verified_time_us"));
  if (lines.Take("end") != "1" || !lines.at_end()) lines.Fail("it does not end where it should");
  if (lines.error().has_value()) return *lines.error();
  return record;
}

}  // namespace weighmaster::agent::decide
