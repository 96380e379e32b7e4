# SPDX-License-Identifier: Apache-2.0
r53fwd_test(http host)
r53fwd_test(http socket_file)
foreach(unit prometheus markup spark page_endpoint page pages door)
  r53fwd_test(http ${unit} LIBRARIES PkgConfig::JANSSON)
endforeach()
