// overfit.gradients._gradients. Its types are in _gradients.pyi.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "weight_gradient.h"

namespace nb = nanobind;

namespace {

template <int Dimensions>
using Floats = nb::ndarray<float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;
template <int Dimensions>
using ConstFloats = nb::ndarray<const float, nb::ndim<Dimensions>, nb::c_contig, nb::device::cpu>;

void weight_gradient(const ConstFloats<4>& pictures, const ConstFloats<4>& gradients, int threads,
                     const Floats<4>& weights, const Floats<1>& bias) {
    const crispcast::Convolution shape{
        std::ptrdiff_t(pictures.shape(0)),  std::ptrdiff_t(pictures.shape(1)),
        std::ptrdiff_t(pictures.shape(2)),  std::ptrdiff_t(pictures.shape(3)),
        std::ptrdiff_t(gradients.shape(3)), std::ptrdiff_t(weights.shape(1))};
    for (size_t i = 0; i < 3; ++i)
        if (pictures.shape(i) != gradients.shape(i))
            throw nb::value_error("pictures and gradients differ in number or size");
    if (shape.side % 2 == 0 || weights.shape(2) != weights.shape(1) ||
        weights.shape(0) != gradients.shape(3) || weights.shape(3) != pictures.shape(3) ||
        bias.shape(0) != gradients.shape(3))
        throw nb::value_error("weights are not [out, side, side, in] with an odd side");
    if (threads < 1) throw nb::value_error("threads must be at least 1");
    const nb::gil_scoped_release unlocked;
    crispcast::weight_gradient(shape, pictures.data(), gradients.data(), threads, weights.data(),
                               bias.data());
}

}  // namespace

NB_MODULE(_gradients, module) {
    module.attr("AVAILABLE") = crispcast::has_weight_gradient();
    module.def("weight_gradient", weight_gradient, nb::arg("pictures"), nb::arg("gradients"),
               nb::arg("threads"), nb::arg("weights"), nb::arg("bias"));
}
