#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/sighting.h"

namespace weighmaster::model {

// What a policy asks of agents beside judging. Plain values.

// A field of a sighting that a policy may keep on the endpoint. The numbers travel in policies, the
// names (SentField::name) appear in documents; both are frozen once released.
enum class Withheld : std::uint8_t {
  kOwner = 1,
  kName = 2,
  kArchitecture = 3,
  kLicense = 4,
  kQuantization = 5,
  kParameters = 6,
  kTensorCount = 7,
  kRiskEvidence = 8,
};
using WithheldFields = std::set<Withheld>;

// One row of the table of all that a sighting tells a server. Documents, their JSON Schema,
// docs/collected.md and the agent follow it.
struct SentField {
  std::string_view name;
  std::string_view description;
  // Both null for what is always sent, because without it a server can't tell files apart.
  std::optional<Withheld> as = {};
  void (*withhold)(Sighting& sighting) = nullptr;
};
std::span<const SentField> SentFields();

std::string_view WithheldName(Withheld field);  // "owner"
base::Result<Withheld> ParseWithheld(std::string_view name);

// The sighting as it is sent where these fields are withheld: as if nobody had found them out.
Sighting Without(const WithheldFields& withheld, Sighting sighting);

// What looking at files may cost, as far as somebody says. The bounds of what a policy may say are
// in limits.h.
struct ScanSettings {
  std::optional<std::uint64_t> min_size_bytes = {};
  std::optional<std::uint64_t> read_per_second_bytes = {};
  std::optional<std::uint32_t> cpu_percent = {};
  std::optional<bool> pause_on_battery = {};
  std::optional<std::uint32_t> pause_above_load = {};  // of a processor; 0: never
  friend bool operator==(const ScanSettings&, const ScanSettings&) = default;
};

struct Settings {
  ScanSettings scan;
  WithheldFields withheld;
  friend bool operator==(const Settings&, const Settings&) = default;
};

}  // namespace weighmaster::model
