#pragma once

namespace weighmaster::grpc_adapter {

// From now on gRPC's own log lines, which it would write to standard error as they come, are debug
// lines of our log: a failed call is explained by whoever made it, and a peer that sends garbage
// can't fill a server's log. Any thread may call it, any number of times.
void TakeOverLog();

}  // namespace weighmaster::grpc_adapter
