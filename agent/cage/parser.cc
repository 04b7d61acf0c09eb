#include "agent/cage/parser.h"

#include <algorithm>
#include <utility>

#include "agent/cage/answer.h"
#include "agent/cage/channel.h"
#include "weighmaster/local/v1/cage.pb.h"

namespace weighmaster::agent::cage {
namespace {

using base::limits::kMaxDescriptorsPerMessage;

// What the cage itself may take beside its workers: starting, forking, killing, passing on.
constexpr std::chrono::seconds kGraceTime{10};
constexpr std::size_t kMaxPacketBytes = base::limits::kMaxCageAnswerBytes + base::limits::kKiB;

}  // namespace

CageSpec DefaultCageSpec(std::string program) {
  CageSpec spec;
  spec.program = std::move(program);
#ifdef WEIGHMASTER_SANITIZED
  spec.filter = SystemCallFilter::kOffForSanitizers;
  spec.address_space_bytes = 0;
#endif
  return spec;
}

base::Result<std::unique_ptr<Cage>> Cage::Launch(CageSpec spec) {
  std::unique_ptr<Cage> cage(new Cage(std::move(spec)));
  WM_RETURN_IF_ERROR(cage->Start());
  return cage;
}

Cage::~Cage() { EndProcess(process_); }

pid_t Cage::pid() {
  const std::lock_guard lock(mutex_);
  return process_.pid;
}

std::uint64_t Cage::restarts() {
  const std::lock_guard lock(mutex_);
  return restarts_;
}

base::Status Cage::Start() {
  WM_ASSIGN_OR_RETURN(process_, StartProgram(spec_.program));
  local::v1::CageSettings settings;
  settings.set_workers(std::max(spec_.workers, 1U));
  settings.set_parse_time_ms(static_cast<std::uint64_t>(spec_.parse_time.count()));
  settings.set_cpu_seconds(spec_.cpu_seconds);
  settings.set_address_space_bytes(spec_.address_space_bytes);
  settings.set_without_seccomp(spec_.filter == SystemCallFilter::kOffForSanitizers);
  if (spec_.run_as.has_value()) {
    settings.set_drop_user(true);
    settings.set_run_as_uid(spec_.run_as->uid);
    settings.set_run_as_gid(spec_.run_as->gid);
  }
  base::Status status = SendPacket(process_.socket.get(), settings.SerializeAsString(), {});
  if (status.has_value()) {
    // Its first packet has id 0 and says that it is ready, or why it is not.
    base::Result<std::optional<Packet>> ready =
        ReceivePacket(process_.socket.get(), kMaxPacketBytes, kGraceTime);
    local::v1::ParseAnswer answer;
    if (!ready.has_value()) {
      status = ready.error();
    } else if (!ready->has_value() || !answer.ParseFromString((*ready)->bytes)) {
      status = base::Unavailable("it ended at once");
    } else if (answer.outcome() != local::v1::PARSE_OUTCOME_DONE) {
      status = base::FailedPrecondition(answer.detail());
    }
  }
  if (!status.has_value()) {
    EndProcess(process_);
    return std::move(status).error().While("starting " + spec_.program);
  }
  return {};
}

base::Status Cage::EnsureRunning() {
  if (process_.pid > 0) return {};
  ++restarts_;
  return Start();
}

base::Result<std::vector<model::Facts>> Cage::ParseBatch(std::span<const CageFile> files) {
  const std::lock_guard lock(mutex_);
  std::vector<std::optional<model::Facts>> facts(files.size());
  for (std::size_t begin = 0; begin < files.size(); begin += kMaxDescriptorsPerMessage) {
    std::vector<std::size_t> indices;
    for (std::size_t i = begin; i < std::min(begin + kMaxDescriptorsPerMessage, files.size());
         ++i) {
      indices.push_back(i);
    }
    WM_RETURN_IF_ERROR(EnsureRunning());
    if (Exchange(files, indices, facts).has_value()) continue;
    for (const std::size_t i : indices) {
      if (facts[i].has_value()) continue;
      WM_RETURN_IF_ERROR(EnsureRunning());
      const base::Status alone = Exchange(files, std::span(&i, 1), facts);
      if (!alone.has_value()) {
        facts[i] = UnparsedFacts(files[i].sniffed, "the parser died, and the cage with it");
      }
    }
  }
  std::vector<model::Facts> out;
  out.reserve(facts.size());
  for (std::optional<model::Facts>& one : facts) out.push_back(*std::move(one));
  return out;
}

base::Status Cage::Exchange(std::span<const CageFile> files, std::span<const std::size_t> indices,
                            std::vector<std::optional<model::Facts>>& facts) {
  const std::uint64_t first_id = next_id_;
  next_id_ += indices.size();
  local::v1::ParseRequest request;
  std::vector<int> descriptors;
  for (std::size_t i = 0; i < indices.size(); ++i) {
    request.add_ids(first_id + i);
    descriptors.push_back(files[indices[i]].fd);
  }
  base::Status status = SendPacket(process_.socket.get(), request.SerializeAsString(), descriptors);
  if (status.has_value()) status = ReceiveAnswers(files, indices, first_id, facts);
  if (!status.has_value()) EndProcess(process_);
  return status;
}

base::Status Cage::ReceiveAnswers(std::span<const CageFile> files,
                                  std::span<const std::size_t> indices, std::uint64_t first_id,
                                  std::vector<std::optional<model::Facts>>& facts) {
  const auto rounds = (indices.size() + spec_.workers - 1) / std::max(spec_.workers, 1U);
  const auto deadline = std::chrono::steady_clock::now() + kGraceTime +
                        spec_.parse_time * static_cast<std::int64_t>(rounds);
  for (std::size_t answered = 0; answered < indices.size(); ++answered) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    WM_ASSIGN_OR_RETURN(const std::optional<Packet> packet,
                        ReceivePacket(process_.socket.get(), kMaxPacketBytes,
                                      std::max(left, std::chrono::milliseconds{0})));
    if (!packet.has_value()) return base::Unavailable("the cage died");
    WM_ASSIGN_OR_RETURN(CageAnswer answer, ParseCageAnswer(packet->bytes));
    const std::uint64_t place = answer.id - first_id;
    if (place >= indices.size() || facts[indices[place]].has_value()) {
      return base::DataLoss("the cage answered for a file that it was not asked about");
    }
    const std::size_t index = indices[place];
    facts[index] = answer.parsed ? std::move(answer.facts)
                                 : UnparsedFacts(files[index].sniffed, answer.failure);
  }
  return {};
}

base::Result<formats::TensorMap> Cage::MapTensors(int fd, std::uint64_t file_bytes) {
  const std::lock_guard lock(mutex_);
  // A cage that dies of it is started again, and the file tried once more.
  for (int attempt = 0; attempt < 2; ++attempt) {
    WM_RETURN_IF_ERROR(EnsureRunning());
    const auto map = ExchangeTensors(fd);
    if (!map.has_value()) continue;
    if (!map->has_value()) break;
    auto decoded = formats::TensorMap::Decode(base::AsBytes(**map), file_bytes);
    if (decoded.has_value()) return decoded;
    break;
  }
  return formats::TensorMap::Without(model::WeightsReason::kIncomplete);
}

base::Result<std::optional<std::string>> Cage::ExchangeTensors(int fd) {
  const std::uint64_t id = next_id_++;
  local::v1::ParseRequest request;
  request.add_ids(id);
  request.set_tensors(true);
  base::Result<std::optional<std::string>> map = std::optional<std::string>();
  const base::Status sent =
      SendPacket(process_.socket.get(), request.SerializeAsString(), std::span(&fd, 1));
  if (sent.has_value()) {
    map = ReceiveTensors(id);
  } else {
    map = sent.error();
  }
  if (!map.has_value()) EndProcess(process_);
  return map;
}

base::Result<std::optional<std::string>> Cage::ReceiveTensors(std::uint64_t id) {
  const auto deadline = std::chrono::steady_clock::now() + kGraceTime + spec_.parse_time;
  std::string map;
  while (true) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    if (left.count() <= 0) {
      return base::Error(base::ErrorCode::kDeadlineExceeded, "the cage did not answer in time");
    }
    WM_ASSIGN_OR_RETURN(const std::optional<Packet> packet,
                        ReceivePacket(process_.socket.get(), kMaxPacketBytes, left));
    if (!packet.has_value()) return base::Unavailable("the cage died");
    WM_ASSIGN_OR_RETURN(const CageTensors answer, ParseCageTensors(packet->bytes));
    if (answer.id != id) return base::DataLoss("the cage answered for another file");
    if (!answer.failure.empty()) return std::optional<std::string>();
    map += answer.piece;
    if (answer.last) return std::optional<std::string>(std::move(map));
    if (map.size() > 2 * base::limits::kMaxTensorMapBytes) {
      return base::DataLoss("the cage answered more than it may");
    }
  }
}

}  // namespace weighmaster::agent::cage
