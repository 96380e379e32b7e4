# SPDX-License-Identifier: Apache-2.0
# What is installed beside the programs. Status 77: skipped, and it says why.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
if(TARGET r53fwd)
  add_test(NAME packaging/unit COMMAND ${Python3_EXECUTABLE} -B ${CMAKE_CURRENT_SOURCE_DIR}/packaging/test_unit.py)
  set_tests_properties(packaging/unit PROPERTIES TIMEOUT 120 SKIP_RETURN_CODE 77
    ENVIRONMENT "R53FWD=$<TARGET_FILE:r53fwd>;R53FWD_SOURCE=${CMAKE_SOURCE_DIR}")
endif()
