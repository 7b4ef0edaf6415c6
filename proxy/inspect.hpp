#pragma once
// `portico inspect`: shows a captured exchange to the tap that watches live ones.
//
// owns:    nothing
// threads: one
// The capture is the raw bytes of one connection each way. How they are cut into pieces must make no
// difference; that it can be chosen is how anybody can see that it makes none.

#include <string>
#include <string_view>

#include "conf/cli.hpp"

namespace portico::proxy {

/// The facts as JSON. Throws std::runtime_error that says what is wrong with the capture when it has no
/// complete request head or no complete response head.
std::string inspect(std::string_view request, std::string_view response, const conf::Split& split);

}  // namespace portico::proxy
