// The product of q, k and v into the attention of one token that reads it.
#include "codegen/DeviceModel.h"
#include "compiler/analysis/Family.h"
#include "compiler/passes/Passes.h"
#include "kernels_templates/attention_decode_qkv/shape.h"

using namespace mlir;

namespace nanocc {
#define GEN_PASS_DEF_KERNFUSEQKV
#include "compiler/Passes.h.inc"
} // namespace nanocc

using namespace nanocc;

namespace {

namespace fused = kernels::attention_decode_qkv;

/// A block's, beside which the 96 KB of a gemv before it still fit on an SM of 227.
constexpr uint64_t mostShared = 130 << 10;

struct KernFuseQkvPass : nanocc::impl::KernFuseQkvBase<KernFuseQkvPass> {
  void runOnOperation() override {
    for (kern::ProgramOp program : getOperation().getOps<kern::ProgramOp>()) {
      // The CPU executor runs what the GPU would.
      const StringRef target = program.getSymName() == "cpu" ? "sm_90a" : program.getSymName();
      const std::optional<codegen::DeviceModel> device = codegen::deviceModel(target.str());
      if (!device)
        continue; // kern-choose-templates says so
      program.walk([&](Operation *op) {
        if (auto attention = dyn_cast<kern::AttentionDecodeOp>(op))
          fuse(attention, *device);
        else if (auto gated = dyn_cast<kern::AttentionDecodeVeOp>(op))
          fuse(gated, *device);
      });
    }
  }

private:
  struct Product {
    Operation *op = nullptr;
    Value x, w;
    bool norm = false;
  };
  /// What makes q, k and v for the attention alone.
  static Product productOf(Value qkv) {
    if (!qkv.hasOneUse())
      return {};
    if (auto product = qkv.getDefiningOp<kern::ProductOp>(); product && !product.getRelu2())
      return {product, product.getX(), product.getWeight(), product.getNorm()};
    if (auto linear = qkv.getDefiningOp<kern::LinearOp>(); linear && !linear.getLibrary())
      return {linear, linear.getX(), linear.getWeight(), false};
    return {};
  }

  /// As many stages of weights as there is room for; 0 if the template does not serve the launch, or the few blocks of
  /// its heads would take longer for their weights than a product and one launch more.
  template <typename Op>
  static int64_t stagesOf(Op attention, const Product &product, const codegen::DeviceModel &device) {
    auto kv = cast<kern::KvType>(attention.getKv().getType());
    auto x = cast<RankedTensorType>(product.x.getType()), y = cast<RankedTensorType>(attention.getType());
    const std::optional<kernels::DType> T = dtypeOf(x.getElementType()),
                                        P = dtypeOf(getElementTypeOrSelf(attention.getTable()));
    if (!T || !P || x.getDimSize(0) != 1 || getElementTypeOrSelf(product.w) != x.getElementType())
      return 0;
    kernels::Params params{{{"T", static_cast<int64_t>(*T)},
                            {"P", static_cast<int64_t>(*P)},
                            {"heads", y.getDimSize(1) / kv.getDim()},
                            {"kv_heads", kv.getHeads()},
                            {"D", kv.getDim()},
                            {"ring", kv.getPositions()},
                            {"cluster", static_cast<int64_t>(attention.getCluster())},
                            {"stages", 1},
                            {"C", x.getDimSize(1)},
                            {"norm", product.norm}}};
    if (!fused::constraint(params).empty())
      return 0;
    const double bytes = static_cast<double>(fused::outputsOf(params) * params["C"] * sizeOf(*T)); // of a cluster
    const double alone = bytes * static_cast<double>(params["kv_heads"]) / device.bytesPerUs + device.earlyUs;
    if (bytes / static_cast<double>(params["cluster"]) * device.sms / device.l2BytesPerUs > alone)
      return 0;
    int64_t &stages = llvm::find_if(params.values, [](auto &value) { return value.first == "stages"; })->second;
    stages = fused::mostStages(params);
    while (stages > 0 && fused::sharedBytes(params) > std::min<uint64_t>(mostShared, device.blockShared))
      --stages;
    return stages;
  }

  template <typename Op> static void fuse(Op attention, const codegen::DeviceModel &device) {
    const Product product = productOf(attention.getQkv());
    if (!product.op)
      return;
    const int64_t stages = stagesOf(attention, product, device);
    if (stages == 0)
      return;
    OpBuilder builder(attention);
    Operation *made;
    if constexpr (std::is_same_v<Op, kern::AttentionDecodeVeOp>) {
      if (attention.getX() != product.x)
        return;
      made = kern::AttentionDecodeQkvVeOp::create(
          builder, attention.getLoc(), attention.getType(), product.w, attention.getTable(), attention.getRows(),
          attention.getPositions(), attention.getKv(), product.x, attention.getTokens(), attention.getEmbeds(),
          attention.getGate(), attention.getMultAttr(), attention.getWindowAttr(), attention.getClusterAttr(),
          builder.getI64IntegerAttr(stages), builder.getUnitAttr(), attention.getRangeAttr());
    } else {
      made = kern::AttentionDecodeQkvOp::create(
          builder, attention.getLoc(), attention.getType(), product.w, attention.getTable(), attention.getRows(),
          attention.getPositions(), attention.getKv(), product.x, attention.getMultAttr(), attention.getWindowAttr(),
          attention.getClusterAttr(), builder.getI64IntegerAttr(stages), builder.getUnitAttr());
    }
    if (!product.norm)
      made->removeAttr("norm");
    attention.getResult().replaceAllUsesWith(made->getResult(0));
    attention.erase();
    product.op->erase();
  }
};

} // namespace
