#pragma once

#include "policy/base/result.h"
#include "policy/base/time.h"
#include "server/store/store.h"
#include "third_party/openssl/key.h"

namespace weighmaster::v1 {
class GetEvidenceRequest;
class GetEvidenceResponse;
class ListBatchesRequest;
class ListBatchesResponse;
}  // namespace weighmaster::v1

namespace weighmaster::server::api {

// What the server hands out of an endpoint's evidence, docs/formats/evidence.md. Its own word on it
// is signed as acknowledgements are: `signer` is a key of the root's role "server". Both must
// outlive it. Without state; any thread that owns the queries may call it.
class Evidence {
 public:
  Evidence(const base::Clock& clock, const openssl::Signer& signer)
      : clock_(clock), signer_(signer) {}

  // NOT_FOUND: there is no such endpoint in the scope. RESOURCE_EXHAUSTED: a narrower range is to
  // be asked for.
  base::Result<v1::GetEvidenceResponse> Gather(store::Queries& queries, const store::Scope& scope,
                                               const v1::GetEvidenceRequest& request) const;
  static base::Result<v1::ListBatchesResponse> Batches(store::Queries& queries,
                                                       const store::Scope& scope,
                                                       const v1::ListBatchesRequest& request);

 private:
  const base::Clock& clock_;
  const openssl::Signer& signer_;
};

}  // namespace weighmaster::server::api
