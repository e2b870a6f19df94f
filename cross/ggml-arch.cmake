# Read by cmake at the end of each `project()` of llama.cpp, because CMAKE_PROJECT_INCLUDE names it.
# The crate's build script passes -DGGML_CPU_ARM_ARCH=armv8-a whatever the environment says; FORCE overrules it
# before ggml reads the value. See env-aarch64.sh for the choice.
if(NOT DEFINED ENV{ARM_ARCH})
  message(FATAL_ERROR "ARM_ARCH is not set: source cross/env-aarch64.sh")
endif()
set(GGML_CPU_ARM_ARCH "$ENV{ARM_ARCH}" CACHE STRING "CPU of the box, from cross/env-aarch64.sh" FORCE)
