#include <dirent.h>
#include <sys/timex.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>

#include "agent/os/machine.h"
#include "agent/os/open_file.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::agent::os {
namespace {

constexpr std::size_t kMaxFactFileBytes = 64 * 1024;

std::string ReadTrimmed(const std::string& path) {
  base::Result<std::string> text = ReadSmallFile(path, kMaxFactFileBytes);
  if (!text.has_value()) return {};
  while (!text->empty() && (text->back() == '\n' || text->back() == ' ')) text->pop_back();
  return *std::move(text);
}

model::Sha256 HashMachine() {
  // Length-prefixed, so that no two sets of values give the same bytes.
  std::string input = "weighmaster machine v1";
  for (const char* path : {"/etc/machine-id", "/sys/class/dmi/id/product_uuid",
                           "/sys/class/dmi/id/product_serial", "/sys/class/dmi/id/board_serial"}) {
    const std::string value = ReadTrimmed(path);
    const auto length = static_cast<std::uint32_t>(value.size());
    for (int shift = 0; shift < 32; shift += 8) {
      input.push_back(static_cast<char>((length >> shift) & 0xff));
    }
    input += value;
  }
  return openssl::Sha256Of(base::AsBytes(input));
}

}  // namespace

base::Result<model::Id> ReadBootId() {
  WM_ASSIGN_OR_RETURN(std::string text,
                      ReadSmallFile("/proc/sys/kernel/random/boot_id", kMaxFactFileBytes));
  std::erase_if(text, [](char c) { return c == '-' || c == '\n'; });
  return model::ParseId(text);
}

std::string NameOf(std::string_view hostname, const model::Sha256& machine_sha256) {
  if (!hostname.empty()) return std::string(hostname);
  return "unnamed-" + machine_sha256.ToHex().substr(0, 8);
}

std::string PrettyName(std::string_view os_release) {
  constexpr std::string_view kKey = "PRETTY_NAME=";
  while (!os_release.empty()) {
    const std::size_t end = std::min(os_release.find('\n'), os_release.size());
    std::string_view line = os_release.substr(0, end);
    os_release.remove_prefix(std::min(end + 1, os_release.size()));
    if (!line.starts_with(kKey)) continue;
    line.remove_prefix(kKey.size());
    if (line.size() >= 2 && (line.front() == '"' || line.front() == '\'') &&
        line.back() == line.front()) {
      line = line.substr(1, line.size() - 2);
    }
    return std::string(line);
  }
  return {};
}

base::Result<Machine> ReadMachine() {
  Machine machine;
  WM_ASSIGN_OR_RETURN(machine.boot_id, ReadBootId());
  machine.machine_sha256 = HashMachine();
  machine.os = "linux";
  struct utsname names = {};
  const bool named = ::uname(&names) == 0;
  machine.hostname = NameOf(named ? names.nodename : "", machine.machine_sha256);
  if (named) {
    machine.os_release = PrettyName(ReadTrimmed("/etc/os-release"));
    if (!machine.os_release.empty()) machine.os_release += "; ";
    machine.os_release += names.release;
  }
  return machine;
}

bool ClockIsSynchronised() {
  struct timex state = {};
  return ::adjtimex(&state) != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

bool OnBattery() {
  const std::string folder = "/sys/class/power_supply";
  const std::unique_ptr<DIR, int (*)(DIR*)> supplies(::opendir(folder.c_str()), &::closedir);
  if (supplies == nullptr) return false;
  bool battery = false;
  bool mains_known = false;
  bool mains_online = false;
  while (const struct dirent* entry = ::readdir(supplies.get())) {
    const std::string supply = folder + "/" + entry->d_name;
    const std::string type = ReadTrimmed(supply + "/type");
    if (type == "Battery" && ReadTrimmed(supply + "/scope") != "Device") {
      battery = battery || ReadTrimmed(supply + "/status") == "Discharging";
    } else if (type == "Mains" || type == "USB") {
      mains_known = true;
      mains_online = mains_online || ReadTrimmed(supply + "/online") == "1";
    }
  }
  return battery && !(mains_known && mains_online);
}

double LoadPerCpu() {
  double load = 0;
  const long cpus = ::sysconf(_SC_NPROCESSORS_ONLN);
  if (::getloadavg(&load, 1) != 1 || cpus <= 0) return 0;
  return load / static_cast<double>(cpus);
}

}  // namespace weighmaster::agent::os
