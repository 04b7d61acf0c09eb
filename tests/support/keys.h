#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "policy/base/time.h"
#include "policy/model/exception.h"
#include "proto/wire/exceptions.h"
#include "proto/wire/trust.h"
#include "third_party/openssl/key.h"

namespace weighmaster::tests {

// P-256 key number `n`, the same in every run and on every machine: its private number is the
// SHA-256 of "weighmaster test key n". For tests only, as anyone can compute it.
const openssl::PrivateKey& TestKey(int n);

// 2026-01-01T00:00:00Z, when test fleets are born.
inline constexpr base::WallTime kTestEpoch{
    std::chrono::sys_days(std::chrono::year(2026) / std::chrono::January / 1)};

// A whole fleet's trust: a root document for ten years with the roles "root" (TestKey(1)), "policy"
// (TestKey(2)), "server" (TestKey(3)) and "exceptions" (TestKey(5)), each of one key. Endpoints'
// keys are TestKey(10) and up.
struct TestFleet {
  wire::Root root;
  wire::SignedDocument signed_root;
};
TestFleet MakeTestFleet();
const openssl::PrivateKey& RootKey();
const openssl::PrivateKey& PolicyKey();
const openssl::PrivateKey& ServerKey();
const openssl::PrivateKey& ExceptionsKey();

// A root with these keys as its role "root", and no role "exceptions", unsigned: for tests of
// thresholds and rotation.
wire::Root MakeRoot(const std::vector<int>& root_keys, std::uint32_t root_threshold,
                    std::uint64_t version = 1);
wire::SignedDocument SignRoot(const wire::Root& root, const std::vector<int>& keys);

// One part's reference to these bytes.
wire::PartReference PartOf(wire::PartKind kind, const std::string& bytes,
                           std::vector<std::string> features);
// A manifest of the test fleet's line "default", issued at kTestEpoch, with no parts yet.
wire::BundleManifest MakeManifest(std::uint64_t version, std::uint64_t floor = 0);
// Signed by the policy key.
wire::SignedDocument SignBundle(const wire::BundleManifest& manifest);

// A set of the test fleet, issued at kTestEpoch; of no endpoint yet.
model::ExceptionSet MakeExceptionSet(std::uint64_t version,
                                     std::vector<model::Exception> exceptions);
// Signed by the exceptions key.
wire::SignedDocument SignExceptions(const model::ExceptionSet& set);

}  // namespace weighmaster::tests
