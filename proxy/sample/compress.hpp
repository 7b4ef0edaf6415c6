#pragma once
// Content codings as a hop between CPA and Portico may add them.
//
// owns:    a Compressor owns the state of its library
// threads: one at a time
// errors:  std::runtime_error when a library has no memory

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace portico::sample {

enum class ContentCoding : std::uint8_t { identity, gzip, deflate, br, zstd };

/// As in Content-Encoding; identity's is empty.
std::string_view name_of(ContentCoding coding) noexcept;
/// identity for what is no name of one.
ContentCoding coding_named(std::string_view name) noexcept;

class Compressor {
 public:
  Compressor() = default;
  Compressor(const Compressor&) = delete;
  Compressor& operator=(const Compressor&) = delete;
  virtual ~Compressor() = default;

  /// What goes on the wire for `bytes`: flushed, so that the other end can read all of it at once.
  virtual std::string add(std::string_view bytes) = 0;
  /// The end of the compressed body.
  virtual std::string finish() = 0;
};

/// Nothing for identity.
std::unique_ptr<Compressor> make_compressor(ContentCoding coding);

/// The whole body at once; as it is for identity.
std::string compressed(ContentCoding coding, std::string body);

}  // namespace portico::sample
