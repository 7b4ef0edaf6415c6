#include "proxy/upstream.hpp"

#include <array>

#include <catch2/catch.hpp>

using namespace portico;
using namespace portico::proxy;

namespace {

struct Fixture {
  boost::asio::io_context context{BOOST_ASIO_CONCURRENCY_HINT_UNSAFE};
  Reactor reactor{context};
  telemetry::EndpointCells cells_a;
  telemetry::EndpointCells cells_b;
  Endpoint a{reactor, *conf::Url::parse("http://127.0.0.1:1"), telemetry::EndpointLabel{0}, cells_a};
  Endpoint b{reactor, *conf::Url::parse("http://127.0.0.1:2"), telemetry::EndpointLabel{1}, cells_b};
  Upstream upstream{{&a, &b}};
};

}  // namespace

TEST_CASE("endpoints without exchanges take turns") {
  Fixture f;
  const Endpoint* first = f.upstream.choose({});
  const Endpoint* second = f.upstream.choose({});
  REQUIRE(first != second);
  REQUIRE(f.upstream.choose({}) == first);
}

TEST_CASE("an endpoint that failed is set aside, and counted as down, until it works again") {
  Fixture f;
  f.a.report_failure();
  REQUIRE(f.a.set_aside());
  REQUIRE(f.cells_a.up.value() == 0);
  for (int i = 0; i < 4; ++i) REQUIRE(f.upstream.choose({}) == &f.b);
  f.a.report_success();
  REQUIRE_FALSE(f.a.set_aside());
  REQUIRE(f.cells_a.up.value() == 1);
  REQUIRE(f.upstream.choose({}) != f.upstream.choose({}));
}

TEST_CASE("when all endpoints are set aside the one whose time comes first is tried") {
  Fixture f;
  f.a.report_failure();
  f.b.report_failure();
  f.b.report_failure();
  for (int i = 0; i < 4; ++i) REQUIRE(f.upstream.choose({}) == &f.a);
}

TEST_CASE("an endpoint that this request has tried is not chosen again") {
  Fixture f;
  const std::array<Endpoint*, 1> one{&f.a};
  const std::array<Endpoint*, 2> both{&f.a, &f.b};
  REQUIRE(f.upstream.choose(one) == &f.b);
  REQUIRE(f.upstream.choose(both) == nullptr);
}
