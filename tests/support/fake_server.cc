#include "tests/support/fake_server.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "policy/base/bytes.h"
#include "proto/wire/convert.h"
#include "tests/support/keys.h"
#include "third_party/openssl/sha256.h"
#include "weighmaster/v1/sync.pb.h"

namespace weighmaster::tests {
namespace {

constexpr std::chrono::milliseconds kLatency{5};
// Small, so that a part takes several requests.
constexpr std::size_t kChunkBytes = 100;

std::string BytesOf(base::ByteView bytes) { return std::string(base::AsText(bytes)); }

}  // namespace

struct FakeServer::Stream {
  wire::AgentListener* listener = nullptr;  // null once the agent has closed its end or heard ours
  bool cut = false;                         // the server hears nothing from it any more
};

class FakeServer::AgentEnd final : public wire::AgentChannel {
 public:
  AgentEnd(FakeServer& server, std::shared_ptr<Stream> stream)
      : server_(server), stream_(std::move(stream)) {}
  ~AgentEnd() override { stream_->listener = nullptr; }
  AgentEnd(const AgentEnd&) = delete;
  AgentEnd& operator=(const AgentEnd&) = delete;

  void Send(const v1::AgentFrame& frame) override {
    server_.Later([&server = server_, stream = stream_, bytes = frame.SerializeAsString()] {
      server.Receive(stream, bytes);
    });
  }
  std::size_t queued() const override { return 0; }

 private:
  FakeServer& server_;
  const std::shared_ptr<Stream> stream_;
};

FakeServer::FakeServer(SimLoop& loop, const openssl::PublicKey& endpoint_key)
    : loop_(loop), endpoint_key_(endpoint_key) {}
FakeServer::~FakeServer() = default;

void FakeServer::Later(std::function<void()> task) { loop_.After(kLatency, std::move(task)); }

std::unique_ptr<wire::AgentChannel> FakeServer::Connect(wire::AgentListener& listener) {
  auto stream = std::make_shared<Stream>();
  stream->listener = &listener;
  stream_ = stream;
  ++connections_;
  if (!reachable) {
    Cut(base::Unavailable("no server answers at this address"));
  } else {
    nonce_ = BytesOf(openssl::Sha256Of(base::AsBytes(std::to_string(connections_))).view());
    v1::ServerFrame frame;
    frame.mutable_challenge()->set_nonce(nonce_);
    frame.mutable_challenge()->set_server_time_us(base::ToMicroseconds(loop_.Now()));
    frame.mutable_challenge()->set_lineage_id(BytesOf(lineage.view()));
    Send(frame);
  }
  return std::make_unique<AgentEnd>(*this, std::move(stream));
}

void FakeServer::Send(const v1::ServerFrame& frame) {
  if (stream_->cut) return;
  Later([stream = stream_, bytes = frame.SerializeAsString()] {
    v1::ServerFrame parsed;
    if (stream->listener != nullptr && parsed.ParseFromString(bytes)) {
      stream->listener->OnFrame(parsed);
    }
  });
}

void FakeServer::Cut(const base::Error& why) {
  stream_->cut = true;
  Later([stream = stream_, why] {
    if (stream->listener != nullptr) std::exchange(stream->listener, nullptr)->OnClosed(why);
  });
}

void FakeServer::Offer(const wire::SignedDocument& bundle,
                       std::map<model::Sha256, std::string> parts) {
  offered_ = bundle;
  parts_.merge(parts);
  if (stream_ != nullptr) SendOffer();
}

void FakeServer::SendOffer() {
  v1::ServerFrame frame;
  wire::ToProto(*offered_, *frame.mutable_offer()->mutable_bundle());
  if (brings_parts) {
    for (const auto& [sha256, content] : parts_) {
      v1::PartChunk& chunk = *frame.mutable_offer()->add_parts();
      chunk.set_sha256(std::string(base::AsText(sha256.view())));
      chunk.set_data(content);
      chunk.set_total_bytes(content.size());
    }
  }
  Send(frame);
}

void FakeServer::ForgetAfter(const model::Id& chain, std::uint64_t number) {
  chains_[chain].resize(number);
  if (number == 0) chains_.erase(chain);
}

std::vector<std::string> FakeServer::Bodies() const {
  std::vector<std::string> bodies;
  for (const auto& [id, chain] : chains_) {
    for (const Stored& batch : chain) {
      bodies.insert(bodies.end(), batch.bodies.begin(), batch.bodies.end());
    }
  }
  return bodies;
}

void FakeServer::Receive(const std::shared_ptr<Stream>& stream, const std::string& bytes) {
  if (stream != stream_ || stream->cut) return;
  v1::AgentFrame frame;
  if (!frame.ParseFromString(bytes)) complaints_.push_back("a frame does not parse");
  if (intercept && intercept(frame)) return;
  if (frame.has_hello()) OnHello(frame);
  if (frame.has_batch()) OnBatch(frame);
  if (frame.has_part_request()) OnPartRequest(frame);
}

void FakeServer::OnHello(const v1::AgentFrame& frame) {
  v1::Hello hello;
  const auto signature = openssl::SignatureFromBytes(base::AsBytes(frame.hello().signature()));
  const bool valid =
      hello.ParseFromString(frame.hello().hello()) && signature.has_value() &&
      endpoint_key_.Verify(wire::DomainDigest(wire::kDomainHello, frame.hello().hello()),
                           *signature) &&
      hello.nonce() == nonce_;
  if (!valid) complaints_.push_back("the hello is not signed as it should be");
  ++greeted_;
  v1::ServerFrame welcome;
  welcome.mutable_welcome()->set_clock_offset_us(clock_offset.count());
  v1::ChainHead& head = *welcome.mutable_welcome()->mutable_head();
  head.set_chain_id(hello.head().chain_id());
  const auto chain = model::IdFromBytes(base::AsBytes(hello.head().chain_id()));
  if (chain.has_value() && !chains_[*chain].empty()) {
    const std::vector<Stored>& stored = chains_[*chain];
    head.set_number(stored.size());
    head.set_header_digest(BytesOf(stored.back().header_digest.view()));
  }
  Send(welcome);
  if (!offered_.has_value()) return;
  const model::Sha256 manifest = openssl::Sha256Of(base::AsBytes(offered_->bytes));
  if (hello.manifest_sha256() != base::AsText(manifest.view())) SendOffer();
}

void FakeServer::OnBatch(const v1::AgentFrame& frame) {
  const auto batch = wire::FromProto(frame.batch());
  if (!batch.has_value()) {
    complaints_.push_back(batch.error().message());
    return;
  }
  const auto header = wire::VerifyBatch(*batch, endpoint_key_);
  if (!header.has_value()) {
    complaints_.push_back(header.error().message());
    return;
  }
  std::vector<Stored>& chain = chains_[header->chain];
  const model::Sha256 digest = wire::HeaderDigest(batch->header);
  if (header->number <= chain.size()) {
    if (chain[header->number - 1].header_digest != digest) {
      complaints_.push_back("equivocation");
      return;
    }
    Acknowledge(header->chain, header->number);
    return;
  }
  const bool follows =
      header->number == chain.size() + 1 &&
      (chain.empty() ? !header->previous.has_value()
                     : header->previous == chain.back().header_digest &&
                           header->first_event ==
                               chain.back().header.first_event + chain.back().header.event_count);
  if (!follows) {
    v1::ServerFrame resend;
    resend.mutable_resend()->set_chain_id(BytesOf(header->chain.view()));
    resend.mutable_resend()->set_number(chain.size() + 1);
    Send(resend);
    return;
  }
  Stored stored{digest, *header, {}};
  for (const wire::BatchEvent& event : batch->events) stored.bodies.push_back(event.body);
  chain.push_back(std::move(stored));
  Acknowledge(header->chain, header->number);
}

void FakeServer::Acknowledge(const model::Id& chain, std::uint64_t number) {
  if (!acknowledges) return;
  wire::Acknowledgement acknowledgement;
  acknowledgement.chain = chain;
  acknowledgement.number = number;
  acknowledgement.header_digest = chains_[chain][number - 1].header_digest;
  acknowledgement.lineage = lineage;
  acknowledgement.server_time = loop_.Now();
  v1::ServerFrame frame;
  wire::ToProto(wire::MakeAcknowledgement(acknowledgement, ServerKey()),
                *frame.mutable_acknowledgement());
  Send(frame);
}

void FakeServer::OnPartRequest(const v1::AgentFrame& frame) {
  ++part_requests_;
  const v1::PartRequest& request = frame.part_request();
  v1::ServerFrame answer;
  v1::PartChunk& chunk = *answer.mutable_part_chunk();
  chunk.set_sha256(request.sha256());
  chunk.set_offset(request.offset());
  const auto digest = model::Sha256FromBytes(base::AsBytes(request.sha256()));
  if (digest.has_value() && parts_.contains(*digest)) {
    const std::string& part = parts_[*digest];
    chunk.set_total_bytes(part.size());
    if (request.offset() < part.size()) chunk.set_data(part.substr(request.offset(), kChunkBytes));
  }
  Send(answer);
}

}  // namespace weighmaster::tests
