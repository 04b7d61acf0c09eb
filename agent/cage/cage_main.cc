#include <unistd.h>

#include "agent/cage/zygote.h"
#include "third_party/protobuf/log.h"

// weighmaster-cage: started by the agent and by `weighmaster scan`, by nobody else, with one end of
// a SOCK_SEQPACKET socket as descriptor 3.
int main() {
  constexpr int kSocket = 3;
  weighmaster::protobuf_adapter::TakeOverLog();
  bool clean = false;
  {
    weighmaster::agent::cage::Zygote zygote(kSocket);
    clean = zygote.Run().has_value();
  }
  // Nothing is left to flush, and leak checkers can't look into a process that is not dumpable.
  ::_exit(clean ? 0 : 1);
}
