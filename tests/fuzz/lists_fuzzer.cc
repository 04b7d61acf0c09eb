// The `lists` part of a bundle: whatever is accepted can be searched, and every digest that it
// counts is found.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "policy/base/check.h"
#include "policy/model/lists/digest_lists.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace weighmaster::model;  // NOLINT(google-build-using-namespace): one function
  const auto view = DigestListsView::Parse({data, size});
  if (!view.has_value()) return 0;
  std::size_t found = 0;
  for (std::size_t at = 0; at + Sha256::kBytes <= size; ++at) {
    const auto digest = Sha256FromBytes({data + at, Sha256::kBytes});
    for (const ListKind kind : {ListKind::kBlocked, ListKind::kDenied, ListKind::kApproved}) {
      found += view->Contains(kind, *digest) ? 1U : 0U;
    }
  }
  const std::uint64_t count = view->count(ListKind::kBlocked) + view->count(ListKind::kDenied) +
                              view->count(ListKind::kApproved);
  WM_CHECK(found >= count);
  WM_CHECK(count * Sha256::kBytes <= size);
  return 0;
}
