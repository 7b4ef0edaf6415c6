#pragma once
// The reference of the JSON documents: what each field is called and means.
//
// owns:    nothing; all texts are literals
// threads: any; pure

#include <span>
#include <string>
#include <string_view>

namespace portico::telemetry {

/// One field of a document.
struct FieldRow {
  std::string_view name;
  std::string_view meaning;
};
using FieldRows = std::span<const FieldRow>;

/// The names of a record as append_record_json() writes them.
FieldRows record_fields() noexcept;
/// The names of a failure as `/api/v1/failures` shows it.
FieldRows failure_fields() noexcept;

/// MANAGEMENT.md, byte for byte.
std::string render_management_reference();

}  // namespace portico::telemetry
