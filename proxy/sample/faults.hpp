#pragma once
// What can be wrong behind a CPA: each fault in CPA's own words, with what it is in truth, so that other
// people's diagnosis can be checked against it.
//
// owns:    plain values
// threads: any; pure functions

#include <cstdint>
#include <string>
#include <string_view>

#include "proxy/sample/dialects.hpp"

namespace portico::sample {

enum class FaultName : std::uint8_t {
  none,
  status,            ///< what CPA most often says with a status
  page,              ///< the provider's web server answered with a page: wrong base URL
  page_in_200,       ///< a page, and the status is 200: the base URL is that of a web site
  revoked,           ///< the provider refuses the credential for good
  expired,           ///< the credential was not renewed
  no_base_url,       ///< the provider's entry has none
  quota,             ///< this credential's allowance is used up
  no_such_host,      ///< the base URL's host has no address
  certificate,       ///< the host's certificate is for another name
  connection_reset,  ///< the network broke the connection to the provider
  context_length,    ///< the client asked for too much
};

/// The fault of a word behind `fail-`, such as `revoked`; none for what is no such word.
FaultName fault_named(std::string_view word) noexcept;

/// The same before it is put into an API's form.
struct Fault {
  int status = 500;
  bool traced = false;  ///< a credential was chosen by then
  std::string message;
  std::string_view type;
  std::string_view code;
  std::string_view param;
  std::string_view category;  ///< what it is in truth, in the words of failure summaries
};

/// `status` counts for FaultName::status alone.
Fault fault_of(FaultName name, int status, Dialect dialect, std::string_view model);

/// The family of providers that a model of this API belongs to, such as `claude`.
std::string_view provider_of(Dialect dialect) noexcept;

/// What a stream that the provider broke off is told as.
Fault broken_stream();

}  // namespace portico::sample
