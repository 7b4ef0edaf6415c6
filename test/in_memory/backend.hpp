#pragma once
// Backends for Portico: they read what they are handed as strictly as can be, and answer in one of several
// manners.
//
// The reading is written here once more, on purpose: that it agrees with Portico's own about where a request
// ends is what is tested.
//
// owns:    nothing; what a connection has come to is in its Link
// threads: one
// errors:  a request that can't be read ends the process: see demand()

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "test/in_memory/portico.hpp"

namespace portico::in_memory {

/// One request as a backend reads it.
struct ReadRequest {
  std::string_view method;
  std::string_view target;
  std::string_view client;         ///< as X-Forwarded-For tells
  std::string_view websocket_key;  ///< empty where it asks for no upgrade
  std::size_t head = 0;            ///< bytes of the head
  std::size_t size = 0;            ///< bytes of the whole
  std::size_t payload = 0;
};

/// Nothing while the head is not complete; `size` is 0 while the body is not. Demands that everything is as
/// Portico promises: one Host, one framing, one line that names the client, no control bytes.
std::optional<ReadRequest> read_request(std::string_view bytes);

enum class Manners : std::uint8_t {
  length,     ///< answers with a length
  chunked,    ///< answers in chunks, with a trailer
  until_end,  ///< answers up to the end of the connection
  early,      ///< answers before it has read the body
  interim,    ///< two interim responses, then one without a body
  upgrade,    ///< becomes a tunnel where one is asked for, and sends everything back
  rude,       ///< closes instead of answering
  garbage,    ///< says more than it was asked for
  large,      ///< answers with more than a socket takes at once
  silent,     ///< never answers
};
inline constexpr std::size_t manners_count = 10;

/// A backend with such manners, which serves witnesses too. `client`: whom it must be told of, always; empty:
/// whoever it is.
Portico::Script backend_with(Manners manners, std::string_view client);

}  // namespace portico::in_memory
