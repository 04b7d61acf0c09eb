// Writes the golden files of the current version into a new folder. Run by hand, once for each
// version, or to take one file more into a version: signatures are random, and a file that was
// released is never edited.

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "agent/decide/vault_record.h"
#include "policy/base/check.h"
#include "proto/wire/convert.h"
#include "proto/wire/merkle.h"
#include "tests/golden/values.h"
#include "tests/support/evidence.h"
#include "tests/support/keys.h"
#include "weighmaster/v1/batch.pb.h"
#include "weighmaster/v1/sync.pb.h"
#include "weighmaster/v1/trust.pb.h"

namespace weighmaster::tests {
namespace {

class Folder {
 public:
  explicit Folder(std::filesystem::path path) : path_(std::move(path)) {}

  void Write(const char* name, std::string_view bytes) const {
    WM_CHECK(!std::filesystem::exists(path_ / name));
    std::ofstream file(path_ / name, std::ios::binary);
    file << bytes;
    WM_CHECK(file.flush().good());
  }
  template <typename Proto, typename Value>
  void WriteProto(const char* name, const Value& value) const {
    Proto proto;
    wire::ToProto(value, proto);
    Write(name, proto.SerializeAsString());
  }

 private:
  std::filesystem::path path_;
};

void WriteHello(const Folder& folder) {
  v1::SignedHello hello;
  hello.set_hello(GoldenHello());
  const openssl::Signature signature =
      TestKey(10).Sign(wire::DomainDigest(wire::kDomainHello, hello.hello())).value();
  hello.set_signature(std::string(base::AsText(base::ByteView(signature))));
  folder.Write("signed_hello.bin", hello.SerializeAsString());
}

void WritePolicy(const Folder& folder) {
  folder.Write("rules.bin", wire::SerialiseRules(GoldenRules()));
  model::RuleSet with_settings = GoldenRules();
  with_settings.settings = GoldenSettings();
  folder.Write("rules_settings.bin", wire::SerialiseRules(with_settings));
  folder.Write("lists.bin", base::AsText(model::EncodeDigestLists(GoldenLists())));
  folder.Write("in_force.txt", agent::decide::FormatVaultRecord(GoldenVaultRecord()));
  folder.Write("in_force_nothing.txt", agent::decide::FormatVaultRecord({}));
  agent::decide::VaultRecord withholding = GoldenVaultRecord();
  withholding.withheld = GoldenSettings().withheld;
  folder.Write("in_force_withheld.txt", agent::decide::FormatVaultRecord(withholding));
}

void WriteGolden(const Folder& folder) {
  CountingRandom salts;
  const openssl::PrivateKey& endpoint = TestKey(10);
  wire::SealedBatch batch =
      wire::Seal(GoldenPosition(), GoldenContext(), GoldenBodies(), endpoint, salts).value();
  folder.Write("endpoint_key.spki", base::AsText(endpoint.public_key().spki()));
  folder.Write("header.bin", batch.header);
  folder.WriteProto<v1::SealedBatch>("batch.bin", batch);
  wire::BatchEvent& dropped = batch.events[1];
  dropped = {.salt = "", .body = "", .leaf = wire::LeafOf(dropped)};
  folder.WriteProto<v1::SealedBatch>("batch_one_body_dropped.bin", batch);
  batch.events.clear();
  folder.WriteProto<v1::SealedBatch>("batch_header_only.bin", batch);

  folder.WriteProto<v1::SignedRoot>("signed_root.bin", SignRoot(GoldenRoot(), {1, 4}));
  folder.WriteProto<v1::SignedBundle>("signed_bundle.bin", SignBundle(GoldenManifest()));
  folder.WriteProto<v1::SignedAcknowledgement>(
      "signed_acknowledgement.bin",
      wire::MakeAcknowledgement(GoldenAcknowledgement(), ServerKey()));
  folder.Write("token.txt", wire::FormatToken(GoldenToken()) + "\n");
  for (const GoldenBatch& later : GoldenLaterBatches()) {
    folder.WriteProto<v1::SealedBatch>((later.name + ".bin").c_str(), later.batch);
  }
  WriteHello(folder);
  WritePolicy(folder);
  folder.Write("evidence_2.bin", EvidenceFile(EvidenceRecords()));
}

}  // namespace
}  // namespace weighmaster::tests

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: make_golden NEW_FOLDER\n");
    return 2;
  }
  std::filesystem::create_directories(arguments[1]);
  weighmaster::tests::WriteGolden(weighmaster::tests::Folder(arguments[1]));
  return 0;
}
