#include "third_party/openssl/openssl_ptr.h"

#include <openssl/err.h>

#include <array>

#include "policy/base/check.h"

namespace weighmaster::openssl {

std::string TakeErrorText() {
  const unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return "no further detail";
  // System errors have no reason text; their number is errno.
  if (const char* reason = ERR_reason_error_string(code); reason != nullptr) return reason;
  std::array<char, 256> text{};
  ERR_error_string_n(code, text.data(), text.size());
  return text.data();
}

base::Error LibraryError(base::ErrorCode code, std::string_view what) {
  return base::Error(code, std::string(what) + ": " + TakeErrorText());
}

int RefusePassword(char* /*buffer*/, int /*size*/, int /*writing*/, void* /*context*/) {
  return -1;
}

BioPtr ReaderOf(std::string_view text) {
  BioPtr bio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  WM_CHECK(bio != nullptr);
  return bio;
}

std::string TextOf(BIO& bio) {
  const char* data = nullptr;
  const long size = BIO_get_mem_data(&bio, &data);
  return size <= 0 ? std::string() : std::string(data, static_cast<std::size_t>(size));
}

}  // namespace weighmaster::openssl
