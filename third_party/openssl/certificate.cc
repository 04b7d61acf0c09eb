#include "third_party/openssl/certificate.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <ctime>
#include <utility>

#include "policy/base/check.h"
#include "third_party/openssl/key_handle.h"
#include "third_party/openssl/openssl_ptr.h"
#include "third_party/openssl/sha256.h"

namespace weighmaster::openssl {
namespace {

using GeneralNamesPtr = std::unique_ptr<GENERAL_NAMES, Freed<GENERAL_NAMES_free>>;
using GeneralNamePtr = std::unique_ptr<GENERAL_NAME, Freed<GENERAL_NAME_free>>;
using ExtensionPtr = std::unique_ptr<X509_EXTENSION, Freed<X509_EXTENSION_free>>;

constexpr long kVersion3 = 2;  // X.509 counts from zero
constexpr std::size_t kMaxCertificateBytes = 64 * 1024;
constexpr std::size_t kSerialBytes = 16;

base::Error Failed(std::string_view what) {
  return LibraryError(base::ErrorCode::kInvalidArgument, what);
}

base::Bytes DerOf(X509& certificate) {
  const int size = i2d_X509(&certificate, nullptr);
  WM_CHECK(size > 0);
  base::Bytes der(static_cast<std::size_t>(size));
  unsigned char* cursor = der.data();
  i2d_X509(&certificate, &cursor);
  return der;
}

std::string PemOf(X509& certificate) {
  const BioPtr bio(BIO_new(BIO_s_mem()));
  WM_CHECK(bio != nullptr && PEM_write_bio_X509(bio.get(), &certificate) == 1);
  return TextOf(*bio);
}

base::Result<base::WallTime> TimeOf(const ASN1_TIME* time) {
  std::tm parts{};
  if (time == nullptr || ASN1_TIME_to_tm(time, &parts) != 1) {
    return Failed("reading a certificate's dates");
  }
  const std::chrono::year_month_day day{std::chrono::year(parts.tm_year + 1900),
                                        std::chrono::month(static_cast<unsigned>(parts.tm_mon + 1)),
                                        std::chrono::day(static_cast<unsigned>(parts.tm_mday))};
  return base::WallTime(std::chrono::sys_days(day).time_since_epoch() +
                        std::chrono::hours(parts.tm_hour) + std::chrono::minutes(parts.tm_min) +
                        std::chrono::seconds(parts.tm_sec));
}

std::string CommonNameOf(const X509& certificate) {
  const X509_NAME* name = X509_get_subject_name(&certificate);
  const int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (index < 0) return "";
  const ASN1_STRING* value = X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index));
  unsigned char* utf8 = nullptr;
  const int size = ASN1_STRING_to_UTF8(&utf8, value);
  if (size < 0) {
    ERR_clear_error();
    return "";
  }
  std::string text(base::AsText({utf8, static_cast<std::size_t>(size)}));
  OPENSSL_free(utf8);
  return text;
}

std::optional<PublicKey> KeyOf(const X509& certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(&certificate), &der);
  if (size <= 0) return std::nullopt;
  const auto key = PublicKey::FromSpki({der, static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return key ? std::optional<PublicKey>(*key) : std::nullopt;
}

base::Result<Certificate> ToValue(X509& x509) {
  Certificate certificate;
  certificate.pem = PemOf(x509);
  certificate.der = DerOf(x509);
  certificate.digest = Sha256Of(certificate.der);
  certificate.common_name = CommonNameOf(x509);
  WM_ASSIGN_OR_RETURN(certificate.not_before, TimeOf(X509_get0_notBefore(&x509)));
  WM_ASSIGN_OR_RETURN(certificate.not_after, TimeOf(X509_get0_notAfter(&x509)));
  certificate.key = KeyOf(x509);
  return certificate;
}

base::Result<X509Ptr> ReadPem(std::string_view pem) {
  if (pem.size() > kMaxCertificateBytes) {
    return base::InvalidArgument("a certificate is longer than 64 KiB");
  }
  const BioPtr bio = ReaderOf(pem);
  X509Ptr x509(PEM_read_bio_X509(bio.get(), nullptr, RefusePassword, nullptr));
  if (x509 == nullptr) return Failed("the text is no certificate in PEM");
  return x509;
}

base::Result<X509Ptr> ReadDer(base::ByteView der) {
  const unsigned char* cursor = der.data();
  X509Ptr x509;
  if (der.size() <= kMaxCertificateBytes) {
    x509.reset(d2i_X509(nullptr, &cursor, static_cast<long>(der.size())));
  }
  if (x509 == nullptr || cursor != der.data() + der.size()) {
    return Failed("the bytes are no certificate in DER");
  }
  return x509;
}

// A random serial number that is never negative and never zero (RFC 5280, section 4.1.2.2).
bool SetRandomSerial(X509& x509) {
  std::array<std::uint8_t, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) return false;
  const BignumPtr number(BN_bin2bn(bytes.data(), static_cast<int>(bytes.size()), nullptr));
  return number != nullptr && !BN_is_zero(number.get()) &&
         BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(&x509)) != nullptr;
}

bool SetDates(X509& x509, base::WallTime not_before, base::WallTime not_after) {
  const auto seconds = [](base::WallTime time) {
    return std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  };
  return not_before < not_after &&
         ASN1_TIME_set(X509_getm_notBefore(&x509), seconds(not_before)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(&x509), seconds(not_after)) != nullptr;
}

bool SetCommonName(X509_NAME* name, std::string_view text) {
  return !text.empty() && base::IsUtf8(text) &&
         X509_NAME_add_entry_by_NID(name, NID_commonName, MBSTRING_UTF8, base::AsBytes(text).data(),
                                    static_cast<int>(text.size()), -1, 0) == 1;
}

// `value` is in OpenSSL's configuration syntax, so it must be a text of ours and never foreign.
bool AddExtension(X509& x509, X509& issuer, int nid, const char* value) {
  X509V3_CTX context{};
  X509V3_set_ctx(&context, &issuer, &x509, nullptr, nullptr, 0);
  const ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value));
  return extension != nullptr && X509_add_ext(&x509, extension.get(), -1) == 1;
}

base::Status AddName(GENERAL_NAMES& names, int type, ASN1_STRING* value, const std::string& text) {
  GeneralNamePtr name(GENERAL_NAME_new());
  if (value == nullptr) return Failed("\"" + text + "\" is no name or address for a certificate");
  WM_CHECK(name != nullptr);
  GENERAL_NAME_set0_value(name.get(), type, value);
  WM_CHECK(sk_GENERAL_NAME_push(&names, name.get()) > 0);
  static_cast<void>(name.release());  // the stack's now
  return {};
}

base::Status AddAlternativeNames(X509& x509, const CertificateRequest& request) {
  if (request.dns_names.empty() && request.ip_addresses.empty()) return {};
  const GeneralNamesPtr names(GENERAL_NAMES_new());
  WM_CHECK(names != nullptr);
  for (const std::string& dns : request.dns_names) {
    ASN1_STRING* value = ASN1_IA5STRING_new();
    WM_CHECK(value != nullptr &&
             ASN1_STRING_set(value, dns.data(), static_cast<int>(dns.size())) == 1);
    WM_RETURN_IF_ERROR(AddName(*names, GEN_DNS, value, dns));
  }
  for (const std::string& ip : request.ip_addresses) {
    WM_RETURN_IF_ERROR(AddName(*names, GEN_IPADD, a2i_IPADDRESS(ip.c_str()), ip));
  }
  if (X509_add1_ext_i2d(&x509, NID_subject_alt_name, names.get(), 0, X509V3_ADD_DEFAULT) != 1) {
    return Failed("adding alternative names");
  }
  return {};
}

}  // namespace

base::Result<Certificate> ParseCertificate(std::string_view pem) {
  WM_ASSIGN_OR_RETURN(const X509Ptr x509, ReadPem(pem));
  return ToValue(*x509);
}

base::Result<Certificate> ParseCertificateDer(base::ByteView der) {
  WM_ASSIGN_OR_RETURN(const X509Ptr x509, ReadDer(der));
  return ToValue(*x509);
}

base::Result<std::string> MakeCaCertificate(const PrivateKey& key, std::string_view common_name,
                                            base::WallTime not_before, base::WallTime not_after) {
  const X509Ptr x509(X509_new());
  WM_CHECK(x509 != nullptr);
  EVP_PKEY* signer = key.handle().key.get();
  if (X509_set_version(x509.get(), kVersion3) != 1 || !SetRandomSerial(*x509) ||
      !SetDates(*x509, not_before, not_after) ||
      !SetCommonName(X509_get_subject_name(x509.get()), common_name) ||
      X509_set_issuer_name(x509.get(), X509_get_subject_name(x509.get())) != 1 ||
      X509_set_pubkey(x509.get(), signer) != 1 ||
      !AddExtension(*x509, *x509, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !AddExtension(*x509, *x509, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !AddExtension(*x509, *x509, NID_subject_key_identifier, "hash") ||
      X509_sign(x509.get(), signer, EVP_sha256()) == 0) {
    return Failed("making the CA certificate \"" + std::string(common_name) + "\"");
  }
  return PemOf(*x509);
}

base::Result<std::string> IssueCertificate(const PrivateKey& ca_key, std::string_view ca_pem,
                                           const PublicKey& subject_key,
                                           const CertificateRequest& request) {
  WM_ASSIGN_OR_RETURN(const X509Ptr ca, ReadPem(ca_pem));
  EVP_PKEY* signer = ca_key.handle().key.get();
  if (X509_check_private_key(ca.get(), signer) != 1) {
    return Failed("the CA's key does not belong to its certificate");
  }
  const X509Ptr x509(X509_new());
  WM_CHECK(x509 != nullptr);
  const KeyPtr subject = ToKeyObject(subject_key);
  const bool server = request.use == CertificateUse::kServer;
  const auto failed = [&request] {
    return Failed("issuing a certificate for \"" + request.common_name + "\"");
  };
  if (X509_set_version(x509.get(), kVersion3) != 1 || !SetRandomSerial(*x509) ||
      !SetDates(*x509, request.not_before, request.not_after) ||
      !SetCommonName(X509_get_subject_name(x509.get()), request.common_name) ||
      X509_set_issuer_name(x509.get(), X509_get_subject_name(ca.get())) != 1 ||
      X509_set_pubkey(x509.get(), subject.get()) != 1 ||
      !AddExtension(*x509, *ca, NID_basic_constraints, "critical,CA:FALSE") ||
      !AddExtension(*x509, *ca, NID_key_usage, "critical,digitalSignature") ||
      !AddExtension(*x509, *ca, NID_ext_key_usage, server ? "serverAuth" : "clientAuth") ||
      !AddExtension(*x509, *ca, NID_subject_key_identifier, "hash") ||
      !AddExtension(*x509, *ca, NID_authority_key_identifier, "keyid:always")) {
    return failed();
  }
  WM_RETURN_IF_ERROR(AddAlternativeNames(*x509, request));
  if (X509_sign(x509.get(), signer, EVP_sha256()) == 0) return failed();
  return PemOf(*x509);
}

base::Result<base::Bytes> MakeSigningRequest(const PrivateKey& key, std::string_view common_name) {
  const X509RequestPtr request(X509_REQ_new());
  WM_CHECK(request != nullptr);
  EVP_PKEY* signer = key.handle().key.get();
  if (X509_REQ_set_version(request.get(), 0) != 1 ||
      !SetCommonName(X509_REQ_get_subject_name(request.get()), common_name) ||
      X509_REQ_set_pubkey(request.get(), signer) != 1 ||
      X509_REQ_sign(request.get(), signer, EVP_sha256()) == 0) {
    return Failed("making a signing request for \"" + std::string(common_name) + "\"");
  }
  const int size = i2d_X509_REQ(request.get(), nullptr);
  WM_CHECK(size > 0);
  base::Bytes der(static_cast<std::size_t>(size));
  unsigned char* cursor = der.data();
  i2d_X509_REQ(request.get(), &cursor);
  return der;
}

base::Result<PublicKey> VerifySigningRequest(base::ByteView der) {
  const unsigned char* cursor = der.data();
  X509RequestPtr request;
  if (der.size() <= kMaxCertificateBytes) {
    request.reset(d2i_X509_REQ(nullptr, &cursor, static_cast<long>(der.size())));
  }
  if (request == nullptr || cursor != der.data() + der.size()) {
    return Failed("the bytes are no signing request (PKCS#10, DER)");
  }
  unsigned char* spki = nullptr;
  const int size = i2d_X509_PUBKEY(X509_REQ_get_X509_PUBKEY(request.get()), &spki);
  if (size <= 0) return Failed("reading the signing request's key");
  auto key = PublicKey::FromSpki({spki, static_cast<std::size_t>(size)});
  OPENSSL_free(spki);
  WM_ASSIGN_OR_RETURN(PublicKey public_key, std::move(key));
  const KeyPtr object = ToKeyObject(public_key);
  if (X509_REQ_verify(request.get(), object.get()) != 1) {
    return Failed("the signing request is not signed by the key in it");
  }
  return public_key;
}

bool IsIssuedBy(const Certificate& leaf, std::string_view ca_pem) {
  const auto ca = ReadPem(ca_pem);
  const auto x509 = ReadDer(leaf.der);
  if (!ca || !x509) return false;
  EVP_PKEY* ca_key = X509_get0_pubkey(ca->get());
  const bool issued = ca_key != nullptr && X509_check_issued(ca->get(), x509->get()) == X509_V_OK &&
                      X509_verify(x509->get(), ca_key) == 1;
  if (!issued) ERR_clear_error();
  return issued;
}

bool IsKeyOf(std::string_view certificate_pem, std::string_view private_key_pem) {
  const auto certificate = ReadPem(certificate_pem);
  const BioPtr reader = ReaderOf(private_key_pem);
  const KeyPtr key(PEM_read_bio_PrivateKey(reader.get(), nullptr, RefusePassword, nullptr));
  const bool is_key = certificate.has_value() && key != nullptr &&
                      X509_check_private_key(certificate->get(), key.get()) == 1;
  if (!is_key) ERR_clear_error();
  return is_key;
}

}  // namespace weighmaster::openssl
