#pragma once

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

#include <memory>
#include <string>
#include <string_view>

#include "policy/base/error.h"

// The library's objects with one owner each, and its errors. For this room's sources only.
namespace weighmaster::openssl {

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* object) const {
    kFree(object);
  }
};

using BioPtr = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using BignumPtr = std::unique_ptr<BIGNUM, Freed<BN_free>>;
using EcdsaSignaturePtr = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using KeyContextPtr = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using X509Ptr = std::unique_ptr<X509, Freed<X509_free>>;
using X509RequestPtr = std::unique_ptr<X509_REQ, Freed<X509_REQ_free>>;

// The newest entry of this thread's error queue as text, "no further detail" if there is none. The
// queue is emptied: gRPC and SSL read the same one and take a leftover for an error of their own.
std::string TakeErrorText();

// "what: text of the queue".
base::Error LibraryError(base::ErrorCode code, std::string_view what);

// For PEM readers: a key with a password is refused, never asked for on a terminal.
int RefusePassword(char* buffer, int size, int writing, void* context);

// A BIO that reads `text`, which must outlive it.
BioPtr ReaderOf(std::string_view text);
// What a memory BIO was given.
std::string TextOf(BIO& bio);

}  // namespace weighmaster::openssl
