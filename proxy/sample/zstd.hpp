#pragma once
// Request bodies under `Content-Encoding: zstd`, which Codex sends.
//
// owns:    nothing
// threads: any; pure function

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace portico::sample {

/// Decodes one or more complete frames; nullopt when the bytes are no zstd, break off, or grow above `limit`.
std::optional<std::string> decode_zstd(std::string_view bytes, std::size_t limit);

}  // namespace portico::sample
