#include "test/support/doors.hpp"

#include <utility>

namespace portico::test {

namespace {

const Address& address_of(const Portico& proxy, Door door) {
  return door == Door::tls ? proxy.tls_address() : proxy.address();
}

}  // namespace

H2Client h2_connect(const Portico& proxy, Door door, H2ClientOptions options) {
  if (door == Door::tls) options.connection.tls = proxy.tls_client({"h2"});
  return H2Client(address_of(proxy, door), options);
}

h2::H2Wire h2_wire(const Portico& proxy, Door door) {
  ClientOptions options;
  if (door == Door::tls) options.tls = proxy.tls_client({"h2"});
  return h2::H2Wire(address_of(proxy, door), std::move(options));
}

}  // namespace portico::test
