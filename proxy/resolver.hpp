#pragma once
// Looking up the host names of backends, on the control thread, so that no worker ever waits for DNS.
//
// owns:    nothing
// threads: the control thread, or one that it waits for

#include <string>
#include <vector>

#include "conf/address.hpp"
#include "proxy/upstream.hpp"

namespace portico::proxy {

/// The socket addresses that `url` names now: an address as it is, a unix socket's path, or what the system's
/// resolver says, in its order. Empty when the name does not resolve. Blocks while the resolver waits.
std::vector<SocketAddress> resolve(const conf::Url& url);

/// True when `url` has a host name, so that its addresses may change.
bool is_named(const conf::Url& url);

/// `127.0.0.1:8317`, `[::1]:8317` or `unix:/path`.
std::string text_of(const SocketAddress& address);

}  // namespace portico::proxy
