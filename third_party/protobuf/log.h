#pragma once

namespace weighmaster::protobuf_adapter {

// From now on Protobuf's own log lines, which it would write to standard error as they come, are
// debug lines of our log: bytes that can't be parsed are explained by whoever was to read them, and
// a peer that sends such can't fill a log. Called by a program before it starts threads.
void TakeOverLog();

}  // namespace weighmaster::protobuf_adapter
