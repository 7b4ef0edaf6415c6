#pragma once
// Sending the body of an answer that goes on, until it ends or its client goes.
//
// owns:    while it runs, a read beside the writes, by which the client's end shows
// threads: the server's
// errors:  none: a client that went, or takes nothing, is the end of the stream

#include <memory>

#include <boost/asio/awaitable.hpp>

#include "telemetry/http_server.hpp"
#include "telemetry/http_transport.hpp"

namespace portico::telemetry {

/// Sends what `body` fills, and its keep_alive() into a silence. When it is done, nothing reads or writes any
/// more, and the connection can be ended in order if it still is one.
boost::asio::awaitable<void> send_stream(std::shared_ptr<Transport> transport, ReplyStream& body,
                                         HttpBounds bounds);

}  // namespace portico::telemetry
