// Arrays of Python as the planes that the core takes, and what is said of those that are none.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>

#include <string>

#include "crispcast.h"

namespace nb = nanobind;

namespace {

// Raised for everything that the core refuses; kernels.errors.PlanError.
[[noreturn]] void raise_plan_error(const std::string& message) {
    const nb::object type = nb::module_::import_("kernels.errors").attr("PlanError");
    PyErr_SetString(type.ptr(), message.c_str());
    throw nb::python_error();
}

void check(crispcast_status status) {
    if (status != CRISPCAST_OK) raise_plan_error(crispcast_status_sentence(status));
}

using Array = nb::ndarray<nb::ro>;
using OutArray = nb::ndarray<nb::numpy, uint8_t, nb::ndim<2>>;

std::string size_text(size_t width, size_t height) {
    return std::to_string(width) + "x" + std::to_string(height);
}

// A u8 array [height, width] with unit stride along x, as the core sees it.
template <class AnyArray>
void check_plane(const AnyArray& array, const char* name) {
    const std::string who = name;
    if (array.dtype() != nb::dtype<uint8_t>())
        raise_plan_error(who + " is not of dtype uint8; convert it");
    if (array.ndim() != 2)
        raise_plan_error(who + " has " + std::to_string(array.ndim()) +
                         " dimensions; give an array [height, width]");
    if (array.shape(1) > 1 && array.stride(1) != 1)
        raise_plan_error(who + " is strided along its rows; make each row contiguous");
    if (array.shape(0) > 1 && array.stride(0) < int64_t(array.shape(1)))
        raise_plan_error(who + " has rows that overlap or run backwards; copy it");
}

void check_size(const Array& array, const char* name, size_t width, size_t height) {
    check_plane(array, name);
    if (array.shape(1) != width || array.shape(0) != height)
        raise_plan_error(std::string(name) + " is " + size_text(array.shape(1), array.shape(0)) +
                         ", not " + size_text(width, height));
}

// The stride of an array of one row means nothing; give the core one that it accepts.
template <class AnyArray>
ptrdiff_t stride_of(const AnyArray& array) {
    return array.shape(0) > 1 ? ptrdiff_t(array.stride(0)) : ptrdiff_t(array.shape(1));
}

crispcast_plane plane_of(const Array& array) {
    return {static_cast<const uint8_t*>(array.data()), stride_of(array)};
}

template <class T>
T cast(nb::handle value, const char* name, const char* wanted) {
    T out;
    if (!nb::try_cast<T>(value, out)) raise_plan_error(std::string(name) + " is not " + wanted);
    return out;
}

OutArray new_plane(size_t width, size_t height) {
    uint8_t* data = new uint8_t[width * height];
    const nb::capsule owner(data, [](void* p) noexcept { delete[] static_cast<uint8_t*>(p); });
    return OutArray(data, {height, width}, owner);
}

}  // namespace
