#include "runtime/plan/plan.h"

#include "plan_schema_hash.h"
#include "runtime/base/error.h"
#include "runtime/base/sha256.h"
#include "runtime/plan/verify.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace nanort {

std::span<const uint8_t, 32> schemaHash() { return planSchemaHash; }

namespace {

constexpr const char *remedy = "; compile the model again with nanocc";

// Deep enough for the schema (Plan, Program, Entry, Node, Arg); tables only bound the verifier's time.
constexpr flatbuffers::uoffset_t maxDepth = 16, maxTables = 1u << 25;

Sha256 digestOf(std::span<const uint8_t> file, size_t fieldOffset) {
  std::vector<uint8_t> copy(file.begin(), file.end());
  std::memset(copy.data() + fieldOffset, 0, 32);
  return sha256(std::as_bytes(std::span(copy)));
}

// The root's two identifying fields, readable even if the rest follows another schema.
struct Identity {
  uint32_t version = 0;
  const flatbuffers::Vector<uint8_t> *hash = nullptr;
};

std::optional<Identity> identify(const uint8_t *data, flatbuffers::Verifier &verifier) {
  if (!verifier.VerifyOffset(0))
    return std::nullopt;
  const auto *root = flatbuffers::GetRoot<flatbuffers::Table>(data);
  if (!root->VerifyTableStart(verifier) || !root->VerifyField<uint32_t>(verifier, schema::Plan::VT_FORMAT_VERSION, 4) ||
      !root->VerifyOffset(verifier, schema::Plan::VT_SCHEMA_HASH))
    return std::nullopt;
  Identity id;
  id.version = root->GetField<uint32_t>(schema::Plan::VT_FORMAT_VERSION, 0);
  id.hash = root->GetPointer<const flatbuffers::Vector<uint8_t> *>(schema::Plan::VT_SCHEMA_HASH);
  if (!id.hash || !verifier.VerifyVector(id.hash))
    return std::nullopt;
  verifier.EndTable();
  return id;
}

} // namespace

void sealPlan(std::span<uint8_t> file) {
  const auto *field = schema::GetPlan(file.data())->digest();
  if (!field || field->size() != 32)
    fail(Exit::Internal, "a plan's digest field must have 32 bytes");
  size_t offset = field->Data() - file.data();
  Sha256 digest = digestOf(file, offset);
  std::copy(digest.begin(), digest.end(), file.begin() + offset);
}

std::shared_ptr<const Plan> Plan::open(const std::filesystem::path &path) {
  std::shared_ptr<Plan> plan(new Plan);
  plan->name = path;
  plan->file = MappedFile::open(path);
  const std::string name = path.string();
  auto bytes = plan->file->bytes();
  const auto *data = reinterpret_cast<const uint8_t *>(bytes.data());

  // FlatBuffers 2 asserts on larger buffers, so this comes first.
  if (bytes.size() >= FLATBUFFERS_MAX_BUFFER_SIZE)
    fail(Exit::Input, name + ": " + std::to_string(bytes.size()) + " bytes; a plan has fewer than 2 GiB" + remedy);
  if (bytes.size() < 8 || !flatbuffers::BufferHasIdentifier(data, schema::PlanIdentifier()))
    fail(Exit::Input, name + ": not a plan (no 'NANO' identifier at byte 4); pass a file that nanocc wrote");

  flatbuffers::Verifier peek(data, bytes.size(), maxDepth, maxTables);
  auto identity = identify(data, peek);
  if (!identity)
    fail(Exit::Input, name + ": damaged plan (its root table leaves the file)" + remedy);
  if (identity->version != planFormatVersion)
    fail(Exit::Unsupported, name + ": plan format " + std::to_string(identity->version) +
                                ", this nanort reads format " + std::to_string(planFormatVersion) +
                                "; use the nanort of that nanocc, or compile again");
  if (!std::equal(identity->hash->begin(), identity->hash->end(), std::begin(planSchemaHash), std::end(planSchemaHash)))
    fail(Exit::Input, name + ": made for another schema than this nanort's (schema hash differs)" + remedy);

  flatbuffers::Verifier verifier(data, bytes.size(), maxDepth, maxTables);
  if (!schema::VerifyPlanBuffer(verifier))
    fail(Exit::Input, name + ": damaged plan (FlatBuffers' verifier rejects it)" + remedy);
  plan->table = schema::GetPlan(data);

  const auto *field = plan->table->digest();
  if (field->size() != 32)
    fail(Exit::Input, name + ": the digest has " + std::to_string(field->size()) + " bytes instead of 32" + remedy);
  Sha256 digest = digestOf({data, bytes.size()}, field->Data() - data);
  if (!std::equal(digest.begin(), digest.end(), field->begin()))
    fail(Exit::Input, name + ": damaged plan (its SHA-256 does not match)" + remedy);

  plan->instances = verifyPlan(*plan->table, name);
  return plan;
}

std::shared_ptr<const Plan> Plan::built(const schema::Plan &table, const std::string &name) {
  std::shared_ptr<Plan> plan(new Plan);
  plan->name = name;
  plan->table = &table;
  plan->instances = verifyPlan(table, name);
  return plan;
}

static std::optional<uint32_t> find(const flatbuffers::Vector<flatbuffers::Offset<schema::Binding>> &bindings,
                                    std::string_view name) {
  for (const schema::Binding *binding : bindings)
    if (binding->name()->string_view() == name)
      return binding->buffer();
  return std::nullopt;
}

std::optional<uint32_t> Plan::input(const schema::Entry &entry, std::string_view name) {
  return find(*entry.inputs(), name);
}

std::optional<uint32_t> Plan::output(const schema::Entry &entry, std::string_view name) {
  return find(*entry.outputs(), name);
}

} // namespace nanort
