#pragma once
// Frames of HTTP/2 taken apart and put together, and what everybody may expect of those that the worker
// sends.
//
// owns:    nothing
// threads: any

#include <string>
#include <string_view>
#include <vector>

#include "test/support/h2_frames.hpp"

namespace portico::in_memory {

/// Frame after frame; the lengths are those of the payloads.
std::string join_frames(const std::vector<test::h2::Frame>& frames);
/// The frames in `bytes`. The last one's payload is as much of it as there is.
std::vector<test::h2::Frame> split_frames(std::string_view bytes);

/// Demands that what the worker sent are frames in an order that RFC 9113 allows, and that header blocks can
/// be read. The last frame need not be whole.
void check_frames(std::string_view sent);

}  // namespace portico::in_memory
