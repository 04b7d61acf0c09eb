#pragma once

#include <string>
#include <string_view>

#include "policy/base/result.h"
#include "policy/model/digest.h"

namespace weighmaster::agent::os {

// What an endpoint tells of its machine, and what it keeps to recognise it.
struct Machine {
  model::Id boot_id;
  // SHA-256 over the machine id and the DMI serial numbers: differs on a cloned disk, reveals
  // neither. docs/formats/file-identity.md gives its exact bytes.
  model::Sha256 machine_sha256;
  std::string hostname;    // never "": see NameOf
  std::string os;          // "linux"
  std::string os_release;  // "Debian GNU/Linux 12 (bookworm); 6.1.0-18-amd64"
};
// Fails only without a boot id. DMI serials are root's to read; what can't be read is hashed as
// absent, so an agent must always ask as the same user.
base::Result<Machine> ReadMachine();

base::Result<model::Id> ReadBootId();

// What a machine is called: its host's name, or, where that is empty, "unnamed-" and eight digits
// of its digest, by which people tell two of them apart.
std::string NameOf(std::string_view hostname, const model::Sha256& machine_sha256);

// PRETTY_NAME of an os-release(5) text, unquoted; "" if it has none.
std::string PrettyName(std::string_view os_release);

// Whether the kernel's clock is disciplined, as adjtimex(2) says.
bool ClockIsSynchronised();

// A mains supply that is off line with a battery beside it. Machines without a battery: false.
bool OnBattery();

// The load average of the last minute over the number of CPUs that are on line; 0 when unknown.
double LoadPerCpu();

}  // namespace weighmaster::agent::os
