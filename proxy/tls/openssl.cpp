#include "proxy/tls/openssl.hpp"

#include <openssl/err.h>

#include <new>

namespace portico::proxy::tls {

std::string reason(std::string_view fallback) {
  const unsigned long error = ERR_peek_last_error();
  ERR_clear_error();
  const char* const text = error == 0 ? nullptr : ERR_reason_error_string(error);
  return text == nullptr ? std::string(fallback) : std::string(text);
}

BioPtr memory_bio(std::string_view bytes) {
  BioPtr bio(BIO_new_mem_buf(bytes.data(), static_cast<int>(bytes.size())));
  if (!bio) throw std::bad_alloc();
  return bio;
}

}  // namespace portico::proxy::tls
