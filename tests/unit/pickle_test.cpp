#include "compiler/import/Pickle.h"
#include "tests/unit/checkpoint_files.h"

#include <random>

using namespace nanocc;
using namespace nanotest;
using nanort::Exit;
using Kind = PickleValue::Kind;

namespace {

Pickle parse(const std::string &data) {
  return Pickle(std::as_bytes(std::span(data)), "p.pkl", {"collections.OrderedDict", "tiktoken.core.Encoding"});
}
void refused(const std::string &part, const std::string &data) {
  expectError(Exit::Input, part, [&] { parse(data); });
}
std::string raw(const char *data, size_t size) { return std::string(data, size); }
#define RAW(literal) raw(literal, sizeof(literal) - 1)

} // namespace

// What Python's pickle.dumps({"a": [1, -2, 3.5, None, True, "x\n\\"], "é": (70000, -(2**40))}, protocol) writes.
TEST(Pickle, ReadsEveryProtocolsData) {
  const std::string protocols[] = {
      RAW("(dp0\nVa\np1\n(lp2\nI1\naI-2\naF3.5\naNaI01\naVx\\u000a\\u005c\np3\nasV\xe9\np4\n(I70000\nL-"
          "1099511627776L\ntp5\ns."),
      RAW("}q\x00(X\x01\x00\x00\x00"
          "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00NI01\nX\x03\x00\x00\x00x\n\\q\x03"
          "eX\x02\x00\x00\x00\xc3\xa9q\x04(Jp\x11\x01\x00L-1099511627776L\ntq\x05u."),
      RAW("\x80\x02}q\x00(X\x01\x00\x00\x00"
          "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88X\x03\x00\x00\x00x\n\\q\x03"
          "eX\x02\x00\x00\x00\xc3\xa9q\x04Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x86q\x05u."),
      RAW("\x80\x03}q\x00(X\x01\x00\x00\x00"
          "aq\x01]q\x02(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88X\x03\x00\x00\x00x\n\\q\x03"
          "eX\x02\x00\x00\x00\xc3\xa9q\x04Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x86q\x05u."),
      RAW("\x80\x04\x95"
          "9\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
          "a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88\x8c\x03x\n\\\x94"
          "e\x8c\x02\xc3\xa9\x94Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x86\x94u."),
      RAW("\x80\x05\x95"
          "9\x00\x00\x00\x00\x00\x00\x00}\x94(\x8c\x01"
          "a\x94]\x94(K\x01J\xfe\xff\xff\xffG@\x0c\x00\x00\x00\x00\x00\x00N\x88\x8c\x03x\n\\\x94"
          "e\x8c\x02\xc3\xa9\x94Jp\x11\x01\x00\x8a\x06\x00\x00\x00\x00\x00\xff\x86\x94u.")};
  for (const std::string &data : protocols) {
    const Pickle pickle = parse(data);
    const PickleValue *list = pickle.root().find("a"), *tuple = pickle.root().find("é");
    ASSERT_TRUE(list && tuple);
    ASSERT_EQ(list->items.size(), 6u);
    EXPECT_EQ(list->items[0]->integer, 1);
    EXPECT_EQ(list->items[1]->integer, -2);
    EXPECT_EQ(list->items[2]->real, 3.5);
    EXPECT_TRUE(list->items[3]->is(Kind::None));
    EXPECT_TRUE(list->items[4]->is(Kind::Bool) && list->items[4]->integer);
    EXPECT_EQ(list->items[5]->text, "x\n\\");
    ASSERT_EQ(tuple->items.size(), 2u);
    EXPECT_EQ(tuple->items[0]->integer, 70000);
    EXPECT_EQ(tuple->items[1]->integer, -(int64_t{1} << 40));
  }
}

// [b"\xff\0", ...] in protocols 3 to 5, then a bytearray; and Python 2's str.
TEST(Pickle, ReadsBytes) {
  const std::string lists[] = {
      RAW("\x80\x03]q\x00"
          "C\x02\xff\x00q\x01"
          "a."),
      RAW("\x80\x04\x95\x15\x00\x00\x00\x00\x00\x00\x00]\x94(C\x02\xff\x00\x94\x8f\x94(K\x01\x90(K\x02\x91\x94"
          "e."),
      RAW("\x80\x05\x95\x15\x00\x00\x00\x00\x00\x00\x00]\x94(C\x02\xff\x00\x94\x8f\x94(K\x01\x90(K\x02\x91\x94"
          "e."),
      RAW("\x80\x05\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94\x96\x02\x00\x00\x00\x00\x00\x00\x00\xff\x00\x94"
          "a."),
      "(S'\\xff\\x00'\nl."};
  for (const std::string &data : lists) {
    const Pickle pickle = parse(data);
    const PickleValue &bytes = *pickle.root().items.at(0);
    EXPECT_TRUE(bytes.is(Kind::Bytes));
    EXPECT_EQ(bytes.text, RAW("\xff\x00"));
  }
}

// The classic attack, in each way of naming and calling.
TEST(Pickle, NamesAndNeverRunsForeignCode) {
  TemporaryDirectory dir;
  const std::string mark = dir / "executed";
  const std::string command = "touch " + mark;
  refused("'os.system'", "cos\nsystem\n(S'" + command + "'\ntR.");
  refused("'posix.system'", "\x80\x04\x8c\x05posix\x8c\x06system\x93" + pickleText(command) + "\x85R.");
  refused("'builtins.eval'", "(S'" + command + "'\nibuiltins\neval\n.");
  refused("'os.system'", "\x80\x02" + pickleText("ok") + "0cos\nsystem\n" + pickleText(command) + "\x85\x81.");
  refused("'collections.OrderedDict.x'", "ccollections\nOrderedDict.x\n.");
  EXPECT_FALSE(std::filesystem::exists(mark));
}

TEST(Pickle, CallsAreRecords) {
  const Pickle pickle =
      parse("ccollections\nOrderedDict\n)R(" + pickleText("k") + "I5\nu}(" + pickleText("s") + "I6\nub.");
  ASSERT_TRUE(pickle.root().isCallOf("collections.OrderedDict"));
  EXPECT_EQ(pickle.root().find("k")->integer, 5);
  EXPECT_EQ(pickle.root().state->find("s")->integer, 6);
}

TEST(Pickle, RefusesDamage) {
  refused("truncated", "");
  refused("truncated", "\x80\x02");
  refused("truncated", RAW("X\xff\xff\xff\xff"
                           "abc"));
  refused("truncated", RAW("\x8d\xff\xff\xff\xff\xff\xff\xff\xff"
                           "abc"));
  refused("truncated", RAW("\x95\xff\x00\x00\x00\x00\x00\x00\x00."));
  refused("protocol 6", "\x80\x06N.");
  refused("empty stack", ".");
  refused("empty stack", "N(.");
  refused("not opened", "t.");
  refused("not stored", RAW("h\x07."));
  refused("no list", "NNa.");
  refused("no dictionary", "]NNs.");
  refused("no dictionary", "}(Nu.");
  refused("no named global", "N)R.");
  refused("no object", "}}b.");
  refused("64 bits", RAW("\x8a\x09"
                         "123456789."));
  refused("malformed", "I12x\n.");
  refused("too large", "L99999999999999999999L\n.");
  refused("malformed string", "S'abc\n.");
  refused("malformed string", "Vab\\u12\n.");
  refused("instruction 130", RAW("\x82\x01."));
  refused("instruction 151", "\x97.");
}

// Values that contain themselves, share a list a thousandfold or nest deeply cost what the file costs.
TEST(Pickle, BoundsWhatItBuilds) {
  EXPECT_TRUE(parse("]q\x01h\x01"
                    "a.")
                  .root()
                  .items[0]
                  ->is(Kind::List));
  std::string deep = "]";
  for (int i = 0; i < 300'000; ++i)
    deep += "]";
  for (int i = 0; i < 300'000; ++i)
    deep += "a";
  EXPECT_EQ(parse(deep + ".").root().items.size(), 1u);
  refused("million values", std::string(1'000'001, 'N') + ".");
  refused("64 MiB", std::string((64 << 20) + 1, 'N'));
  std::string repeat = "ccollections\nOrderedDict\np0\n0(" + std::string(100'000, 'N') + "tp1\n0";
  for (int i = 0; i < 1000; ++i)
    repeat += "g0\ng1\nR0";
  refused("long arguments", repeat + "N.");
}

TEST(Pickle, SurvivesMutations) {
  const std::string good = torchPickle(tinyTensors('A'));
  const std::string tokenizer = tokenizerPickle({"ab", "abc"}, 300);
  std::mt19937 random(3);
  for (int round = 0; round < 4000; ++round) {
    std::string bad = round % 2 ? good : tokenizer;
    for (int edits = 1 + static_cast<int>(random() % 5); edits > 0; --edits) {
      const size_t at = random() % bad.size();
      if (random() % 4 == 0)
        bad.erase(at, 1 + random() % 8);
      else
        bad[at] = static_cast<char>(random());
    }
    try {
      Pickle(std::as_bytes(std::span(bad)), "p.pkl",
             {"torch._utils._rebuild_tensor_v2", "torch.FloatStorage", "collections.OrderedDict",
              "tiktoken.core.Encoding"});
    } catch (const nanort::Error &error) {
      EXPECT_EQ(error.code, Exit::Input);
    }
  }
}
