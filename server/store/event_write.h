#pragma once

#include <string>

#include "policy/model/digest.h"
#include "policy/model/event.h"

namespace weighmaster::server::store {

// An event on its way into a store, with what the tables keep of it. That is worked out here, by
// whoever verified the batch, because a store has one writer and verifiers are many. The blobs are
// those of docs/formats/server-store.md.
struct EventWrite {
  explicit EventWrite(model::Event read);

  model::Event event;
  // Of the path (of a root, for coverage) that the event speaks of. All zeros: it speaks of none.
  model::Sha256 path_sha256;
  std::string blob;  // the serialised sighting without its path, verdict or coverage
};

}  // namespace weighmaster::server::store
