# Read by cmake at each `project()` of llama.cpp, because CMAKE_PROJECT_INCLUDE names it.
# The crate's build script passes -DGGML_CPU_ARM_ARCH=armv8-a whatever the environment says; FORCE overrules it
# before ggml reads the value. The choice itself is in env-aarch64.sh.
if(NOT DEFINED ENV{GGML_CPU_ARM_ARCH})
  message(FATAL_ERROR "GGML_CPU_ARM_ARCH is not set: source cross/env-aarch64.sh")
endif()
set(GGML_CPU_ARM_ARCH "$ENV{GGML_CPU_ARM_ARCH}" CACHE STRING "CPU of the box, from cross/env-aarch64.sh" FORCE)
