# SPDX-License-Identifier: Apache-2.0
# Whether the documents hold. Where the program is built, its own manual section is examined as well.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_test(NAME docs COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/docs/test_docs.py)
set(R53FWD_DOCS_ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
if(TARGET r53fwd)
  list(APPEND R53FWD_DOCS_ENVIRONMENT R53FWD_BINARY=$<TARGET_FILE:r53fwd> R53SIM_BINARY=$<TARGET_FILE:r53sim>)
endif()
set_tests_properties(docs PROPERTIES LABELS lint TIMEOUT 60 ENVIRONMENT "${R53FWD_DOCS_ENVIRONMENT}")
add_test(NAME docs/security COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/docs/test_security.py)
set_tests_properties(docs/security PROPERTIES LABELS lint TIMEOUT 60 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
add_test(NAME docs/monitoring COMMAND ${Python3_EXECUTABLE} ${CMAKE_CURRENT_SOURCE_DIR}/docs/test_monitoring.py)
set_tests_properties(docs/monitoring PROPERTIES LABELS lint TIMEOUT 120 ENVIRONMENT PYTHONDONTWRITEBYTECODE=1)
