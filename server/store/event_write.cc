#include "server/store/event_write.h"

#include <cstdint>
#include <utility>
#include <variant>

#include "proto/wire/convert.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/values.pb.h"

namespace weighmaster::server::store {
namespace {

// The key of a path: encodings must not run into each other.
model::Sha256 PathKey(const model::Path& path) {
  std::string bytes(1, static_cast<char>(path.encoding));
  bytes += path.bytes;
  return openssl::Sha256Of(base::AsBytes(bytes));
}

template <typename Message, typename Value>
std::string Serialise(const Value& value) {
  Message message;
  wire::ToProto(value, message);
  return message.SerializeAsString();
}

struct Fill {
  EventWrite& out;

  void operator()(const model::SightingAppeared& event) const { Sighting(event.sighting); }
  void operator()(const model::SightingChanged& event) const { Sighting(event.sighting); }
  void operator()(const model::SightingGone& event) const { out.path_sha256 = PathKey(event.path); }
  void operator()(const model::SightingJudged& event) const {
    out.path_sha256 = PathKey(event.path);
    out.blob = Serialise<v1::Verdict>(event.verdict);
  }
  void operator()(const model::CoverageChanged& event) const {
    out.path_sha256 = PathKey(event.coverage.root);
    out.blob = Serialise<v1::Coverage>(event.coverage);
  }
  template <typename Other>
  void operator()(const Other&) const {}

 private:
  void Sighting(const model::Sighting& sighting) const {
    out.path_sha256 = PathKey(sighting.path);
    v1::Sighting message;
    wire::ToProto(sighting, message);
    message.clear_path();  // it has columns of its own
    out.blob = message.SerializeAsString();
  }
};

}  // namespace

EventWrite::EventWrite(model::Event read) : event(std::move(read)) {
  std::visit(Fill{*this}, event.body);
}

}  // namespace weighmaster::server::store
