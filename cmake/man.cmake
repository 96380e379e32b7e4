# SPDX-License-Identifier: Apache-2.0
# What the program prints about its own options, kept by the build: zones.conf(5), a commented example, a JSON
# Schema, completion for bash.
# Included after the program; run as a script (cmake -DPROGRAM=… -DWHAT=… -DFRAME=… -DOUTPUT=… -P man.cmake) it fills the man page's frame.
if(CMAKE_SCRIPT_MODE_FILE)
  # EMULATOR: what runs a program that was built for another processor; mostly nothing.
  execute_process(COMMAND ${EMULATOR} ${PROGRAM} --print ${WHAT} OUTPUT_VARIABLE options RESULT_VARIABLE status)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${PROGRAM} --print ${WHAT}: ${status}")
  endif()
  string(STRIP "${options}" options)
  # The page is full of semicolons and brackets, which lists of CMake's would take apart: one string, one replacement.
  file(READ ${FRAME} page)
  string(REPLACE "@OPTIONS@" "${options}" page "${page}")
  file(WRITE ${OUTPUT} "${page}")
  return()
endif()

set(printed ${CMAKE_BINARY_DIR}/printed)
file(MAKE_DIRECTORY ${printed})
foreach(pair man:zones.conf.5 metrics:r53fwd-metrics.7)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 what)
  list(GET pair 1 page)
  add_custom_command(
    OUTPUT ${printed}/${page}
    COMMAND ${CMAKE_COMMAND} -DPROGRAM=$<TARGET_FILE:r53fwd> -DEMULATOR=${CMAKE_CROSSCOMPILING_EMULATOR} -DWHAT=${what}
      -DFRAME=${CMAKE_SOURCE_DIR}/docs/man/${page}.in -DOUTPUT=${printed}/${page} -P ${CMAKE_SOURCE_DIR}/cmake/man.cmake
    DEPENDS r53fwd ${CMAKE_SOURCE_DIR}/docs/man/${page}.in ${CMAKE_SOURCE_DIR}/cmake/man.cmake
    VERBATIM)
endforeach()
foreach(pair example:zones.conf.example schema:zones.conf.schema.json completion:r53fwd.bash)
  string(REPLACE ":" ";" pair ${pair})
  list(GET pair 0 what)
  list(GET pair 1 file)
  add_custom_command(OUTPUT ${printed}/${file} COMMAND r53fwd --print ${what} > ${printed}/${file} DEPENDS r53fwd VERBATIM)
endforeach()
add_custom_target(printed ALL DEPENDS ${printed}/zones.conf.5 ${printed}/r53fwd-metrics.7 ${printed}/zones.conf.example
  ${printed}/zones.conf.schema.json ${printed}/r53fwd.bash)
