#pragma once

#include "agent/sync/enrolment_client.h"
#include "policy/base/time.h"

namespace weighmaster::agent::sync {

// The calls over gRPC. Each makes a connection of its own and blocks for at most
// limits::kConnectTimeout and limits::kEnrolmentTimeout. `clock` must outlive it.
class GrpcEnrolmentClient final : public EnrolmentClient {
 public:
  explicit GrpcEnrolmentClient(const base::Clock& clock) : clock_(clock) {}

  base::Result<Enrolment> Enrol(const wire::EnrolmentToken& token, base::ByteView signing_request,
                                const v1::MachineFacts& machine) const override;
  base::Result<Renewal> Renew(const ConnectorOptions& options,
                              base::ByteView signing_request) const override;

 private:
  const base::Clock& clock_;
};

}  // namespace weighmaster::agent::sync
