#pragma once
// The family of a client's library, from its User-Agent.
//
// owns:    nothing
// threads: any; pure. For readers of records, not for workers

#include <string_view>

namespace portico::telemetry {

/// Such as `codex-cli`, `claude-cli`, `openai-python`, `curl`, `browser`; `other` for what is not known,
/// empty where the client did not say. One of a closed list.
std::string_view user_agent_family(std::string_view user_agent) noexcept;

}  // namespace portico::telemetry
