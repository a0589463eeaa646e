#include "tests/app/certificates.hpp"

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace linnet::test {
namespace {

using bio = std::unique_ptr<BIO, decltype(&BIO_free)>;

std::string written_to(BIO* memory) {
    auto text = std::string(BIO_pending(memory), '\0');
    BIO_read(memory, text.data(), static_cast<int>(text.size()));
    return text;
}

bio memory() { return {BIO_new(BIO_s_mem()), BIO_free}; }

}  // namespace

pem_pair make_certificate() {
    const auto key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>{EVP_EC_gen("P-256"), EVP_PKEY_free};
    const auto certificate = std::unique_ptr<X509, decltype(&X509_free)>{X509_new(), X509_free};
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    auto* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>("localhost"), -1, -1,
                               0);
    X509_set_issuer_name(certificate.get(), name);
    X509_sign(certificate.get(), key.get(), EVP_sha256());

    const auto certificate_text = memory();
    const auto key_text = memory();
    PEM_write_bio_X509(certificate_text.get(), certificate.get());
    PEM_write_bio_PrivateKey(key_text.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
    return {written_to(certificate_text.get()), written_to(key_text.get())};
}

std::string encrypted_key(const pem_pair& pair, std::string password) {
    const auto in = bio{BIO_new_mem_buf(pair.key.data(), static_cast<int>(pair.key.size())), BIO_free};
    const auto key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>{
        PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free};
    const auto out = memory();
    PEM_write_bio_PrivateKey(out.get(), key.get(), EVP_aes_256_cbc(), reinterpret_cast<unsigned char*>(password.data()),
                             static_cast<int>(password.size()), nullptr, nullptr);
    return written_to(out.get());
}

}  // namespace linnet::test
